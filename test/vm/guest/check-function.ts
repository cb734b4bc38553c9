/**
 * function: calls must be counted exactly by function and CPU, only for the named tasks and their children. A second
 * instance with the same tracer must see the same calls.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { callsIn, totalOf } from './kernel-text.ts';
import { CPUS, getppids } from './lab.ts';
import { startRecording } from './recording.ts';
import type { TaskTree } from './task-tree.ts';
import { gained, type TracerCheck } from './tracer-group.ts';
import { getppidFunction } from './workloads.ts';

const CALLS = 400;
const READS = 300;
const NAME = 'ftrace_function_calls_total';

/** Called only by the tasks of `tree`. */
export function checkFunction(tree: TaskTree): TracerCheck {
  const getppid = getppidFunction();
  // The first one calls the second.
  const functions = [getppid, 'ksys_read', 'vfs_read'];
  return {
    tracer: 'function',
    functions,
    options: `{ functions: ${JSON.stringify(functions)}, pids: [${tree.pid}] }`,
    define: (agent) => {
      it('a function called N times counts N, on the CPU it was called on', async () => {
        const calls = (cpu: number) => ({ function: getppid, cpu: String(cpu) });
        // Starting Node may call it too. A run without the calls shows how often.
        const start = await gained(agent(), () => tree.getppids(0, 0));
        const once = start(NAME, calls(0));
        const gain = await gained(
          agent(),
          async () => {
            await tree.getppids(0, CALLS);
            await tree.getppids(1, CALLS / 2);
          },
          (so) => so(NAME, { function: getppid }) >= 2 * once + CALLS * 1.5,
        );
        assert.deepEqual(
          [gain(NAME, calls(0)), gain(NAME, calls(1))],
          [once + CALLS, once + CALLS / 2],
          `${once} by a start of Node`,
        );
      });

      it('what other tasks call does not count', async () => {
        const gain = await gained(agent(), () => getppids(0, CALLS));
        assert.equal(gain(NAME), 0);
      });

      it('every function counts on every CPU as in a second instance', async () => {
        const witness = startRecording({
          tracer: 'function',
          files: {
            set_ftrace_filter: functions.join(' '),
            set_ftrace_pid: String(tree.pid),
            'options/function-fork': '1',
          },
        });
        let seen = new Map<string, number>();
        const gain = await gained(
          agent(),
          async () => {
            await tree.run(`dd if=/dev/zero of=/dev/null bs=1 count=${READS} status=none`);
            // The shell that ran the command goes on reading: both or neither may see that call.
            await sleep(500);
            const recording = witness.stop();
            try {
              seen = callsIn(recording);
            } finally {
              recording.end();
            }
          },
          (so) => so(NAME) >= totalOf(seen),
        );
        const ours = new Map<string, number>();
        for (const name of functions)
          for (const cpu of CPUS)
            ours.set(`${name} ${cpu}`, gain(NAME, { function: name, cpu: String(cpu) }));
        assert.ok(totalOf(seen) >= 2 * READS, `${totalOf(seen)} calls`);
        assert.deepEqual([...ours].filter(([, count]) => count > 0).sort(), [...seen].sort());
      });
    },
  };
}
