/**
 * function_graph: calls must be counted exactly by function and CPU, also those of a function that calls itself.
 * Durations must equal those in the kernel's own text. Before 6.11 the tracer runs at the top level; there other
 * tracers are the witness.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { callsIn, graphLines, lineOf, totalOf } from './kernel-text.ts';
import { CPUS } from './lab.ts';
import { livesInInstance, type Recording, startRecording } from './recording.ts';
import type { TaskTree } from './task-tree.ts';
import { type Gain, gained, type TracerCheck } from './tracer-group.ts';
import { functionNamed, getppidFunction } from './workloads.ts';

const CALLS = 400;
const NAPS = 10;
const ATTEMPTS = 3;
const COUNT = 'ftrace_function_duration_seconds_count';
const SUM = 'ftrace_function_duration_seconds_sum';

/** Called only by the tasks of `tree`. */
export function checkFunctionGraph(tree: TaskTree): TracerCheck {
  const getppid = getppidFunction();
  const nap = functionNamed(/^__x64_sys_clock_nanosleep$/);
  // The second one calls itself. Both belong to a module.
  const functions = [getppid, nap, 'p9pdu_writef', 'p9pdu_vwritef'];
  const filter = {
    set_ftrace_filter: functions.join(' '),
    set_ftrace_pid: String(tree.pid),
    'options/function-fork': '1',
  };
  const naps = () => tree.run(`for i in $(seq ${NAPS}); do sleep 0.1; done`);
  const ofNaps = (gain: Gain) => gain(COUNT, { function: nap });

  return {
    tracer: 'function_graph',
    functions,
    options: `{ functions: ${JSON.stringify(functions)}, pids: [${tree.pid}] }`,
    define: (agent) => {
      it('a function called N times counts N, on the CPU it was called on', async () => {
        const calls = (cpu: number) => ({ function: getppid, cpu: String(cpu) });
        const start = await gained(agent(), () => tree.getppids(0, 0));
        const once = start(COUNT, calls(0));
        const gain = await gained(
          agent(),
          async () => {
            await tree.getppids(0, CALLS);
            await tree.getppids(1, CALLS / 2);
          },
          (so) => so(COUNT, { function: getppid }) >= 2 * once + CALLS * 1.5,
        );
        assert.deepEqual(
          [gain(COUNT, calls(0)), gain(COUNT, calls(1))],
          [once + CALLS, once + CALLS / 2],
          `${once} by a start of Node`,
        );
      });

      it('calls within calls of the same function count each, as another tracer sees them begin', async () => {
        const witness = startRecording({ tracer: 'function', files: filter });
        let seen = new Map<string, number>();
        const gain = await gained(
          agent(),
          async () => {
            // On one CPU, because a call counts where it returns, and the witness sees where it begins.
            const look = 'for i in $(seq 20); do [ -e /run/lab/no-file-$i ]; done; true';
            await tree.run(`taskset -c 1 sh -c "${look.replaceAll('$', '\\$')}"`);
            const recording = witness.stop();
            seen = callsIn(recording);
            recording.end();
          },
          (so) => so(COUNT) >= totalOf(seen),
        );
        const ours = functions.flatMap((name) =>
          CPUS.map((cpu) => [`${name} ${cpu}`, gain(COUNT, { function: name, cpu: String(cpu) })] as const),
        );
        assert.ok(totalOf(seen) >= 40, `${totalOf(seen)} calls`);
        assert.deepEqual(ours.filter(([, count]) => count > 0).sort(), [...seen].sort());
      });

      /**
       * Compares the sum of the naps with a witness. A CPU stands still while the other one is emulated, which can be
       * between the records of the two; so one of a few attempts must agree. A wrong sum is wrong in each of them.
       */
      const agree = async (
        start: () => ReturnType<typeof startRecording>,
        timeIn: (recording: Recording) => { count: number; seconds: number },
      ) => {
        const sums: string[] = [];
        for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
          const witness = start();
          let seen = { count: 0, seconds: 0 };
          const gain = await gained(
            agent(),
            async () => {
              await naps();
              const recording = witness.stop();
              try {
                seen = timeIn(recording);
              } finally {
                recording.end();
              }
            },
            (so) => ofNaps(so) >= NAPS,
          );
          assert.deepEqual([ofNaps(gain), seen.count], [NAPS, NAPS]);
          const ours = gain(SUM, { function: nap });
          if (Math.abs(ours / seen.seconds - 1) < 0.01) return;
          sums.push(`${ours} s are ${seen.seconds} s to the kernel`);
        }
        assert.fail(sums.join('; '));
      };

      it("the sum of durations is within 1 % of the kernel's events of the same syscall", async () => {
        const events = ['enter', 'exit'].map((end) => `syscalls:sys_${end}_clock_nanosleep`);
        await agree(() => startRecording({ tracer: 'nop', events }), syscallTime);
      });

      const own = livesInInstance('function_graph');
      const skip = own ? false : 'this kernel has it only at the top level';
      it("the sum of durations is within 1 % of the tracer's own text", { skip }, async () => {
        const start = () => startRecording({ tracer: 'function_graph', files: filter });
        await agree(start, (recording) => graphTime(recording, nap));
      });
    },
  };
}

/** Calls and their time between the lines of enter and exit, by task. */
function syscallTime(recording: Recording): { count: number; seconds: number } {
  const lines = CPUS.flatMap((cpu) => recording.text(cpu).map(lineOf)).sort((a, b) => a.micros - b.micros);
  const entered = new Map<number, number>();
  let count = 0;
  let micros = 0;
  for (const line of lines) {
    const start = entered.get(line.pid);
    if (!line.body.includes(' -> ')) entered.set(line.pid, line.micros);
    else if (start !== undefined) {
      count++;
      micros += line.micros - start;
    }
  }
  return { count, seconds: micros / 1e6 };
}

/** Printed durations of one function. */
function graphTime(recording: Recording, name: string): { count: number; seconds: number } {
  for (const option of ['funcgraph-abstime', 'funcgraph-proc', 'funcgraph-tail']) recording.show(option);
  const lines = CPUS.flatMap((cpu) => graphLines(recording.text(cpu)));
  const ended = lines.filter((line) => line.name === name && line.kind !== 'call');
  const micros = ended.reduce((sum, { duration }) => sum + Number(duration), 0);
  return { count: ended.length, seconds: micros / 1e6 };
}
