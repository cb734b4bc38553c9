/**
 * One recording per tracer, made here: its replay must count what was done. The host replays the recordings too and
 * compares them with trace-cmd's report; some of their pages are kept as fixtures.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryReadText } from '../../../src/tracefs/files.ts';
import type { Samples } from '../../support/samples.ts';
import { controlFiles, differences } from './control-files.ts';
import { skipTracer, TRACEFS } from './lab.ts';
import { recordWhile, replayed } from './recorded.ts';
import { livesInInstance } from './recording.ts';
import { startTaskTree, type TaskTree } from './task-tree.ts';
import { getppidFunction } from './workloads.ts';

const CALLS = 100;

interface Recorded {
  options(tree: TaskTree): string;
  work(tree: TaskTree): Promise<void>;
  check(samples: Samples): void;
}

const calls = async (tree: TaskTree) => {
  await tree.getppids(0, CALLS);
  await tree.run('taskset -c 1 sh -c "[ -e /run/lab/no-file ]; true"');
};
const functions = (tree: TaskTree) =>
  `{ functions: ["${getppidFunction()}", "p9pdu_*write*", "vfs_read"], pids: [${tree.pid}] }`;

const RECORDINGS: Readonly<Record<string, Recorded>> = {
  function: {
    options: functions,
    work: calls,
    check: (samples) => {
      const counted = samples.sum('ftrace_function_calls_total', { function: getppidFunction(), cpu: '0' });
      // Starting Node may call it too.
      assert.ok(counted >= CALLS && counted < CALLS + 5, `${counted} calls`);
    },
  },
  function_graph: {
    options: functions,
    work: calls,
    check: (samples) => {
      const labels = { function: getppidFunction(), cpu: '0' };
      const counted = samples.sum('ftrace_function_duration_seconds_count', labels);
      assert.ok(counted >= CALLS && counted < CALLS + 5, `${counted} calls`);
    },
  },
  timerlat: {
    options: () => '{ cpus: "0", period: 5ms }',
    work: () => sleep(1500),
    check: (samples) => {
      const count = (context: string) => samples.sum('ftrace_timerlat_latency_seconds_count', { context });
      assert.ok(count('irq') > 10 && count('thread') > 10, `${count('irq')}, ${count('thread')}`);
    },
  },
  osnoise: {
    options: () => '{ cpus: "0", period: 100ms, runtime: 20ms, threshold: 50us }',
    work: () => sleep(1500),
    check: (samples) => {
      assert.ok(samples.sum('ftrace_osnoise_runtime_seconds_total') > 0.05);
      // A replay's own label `source` replaces the metric's label.
      const irqs = samples.sum('ftrace_osnoise_interference_seconds_count', { exported_source: 'irq' });
      assert.ok(irqs > 0, `${irqs} interrupts`);
    },
  },
  hwlat: {
    options: () => '{ cpus: "0-1", width: 50ms, window: 200ms, threshold: 1us }',
    work: () => sleep(2500),
    check: (samples) => assert.ok(samples.sum('ftrace_hwlat_latency_seconds_count', { loop: 'inner' }) > 3),
  },
};
const OFF = ['sched', 'block', 'irq', 'softirq'].map((probe) => `${probe}: { enabled: false }`).join(', ');

describe('a recording of', () => {
  const tree = startTaskTree();
  after(() => tree.end());
  for (const [tracer, { options, work, check }] of Object.entries(RECORDINGS)) {
    if (skipTracer(tracer)) continue;
    it(`${tracer} replays to what was done, and leaves tracefs as it was`, async () => {
      const files = controlFiles();
      const config = `instance: lab-${tracer}\nprobes: { ${OFF}, ${tracer}: ${options(tree)} }\n`;
      const own = join(TRACEFS, 'instances', `lab-${tracer}-record`);
      const dir = livesInInstance(tracer) ? own : TRACEFS;
      const begun = () => {
        // An instance's files appear one after the other, and some exist before they can be read (ENODEV).
        const read = (file: string) => tryReadText(join(dir, file))?.trim();
        return existsSync(own) && read('current_tracer') === tracer && read('tracing_on') === '1';
      };
      const file = await recordWhile(tracer, config, begun, () => work(tree));
      assert.deepEqual(differences(files, controlFiles()), []);
      const samples = replayed(tracer, config, file);
      assert.equal(samples.sum('ftrace_exporter_decode_errors_total'), 0);
      assert.equal(samples.sum('ftrace_exporter_events_lost_total'), 0);
      check(samples);
    });
  }
});
