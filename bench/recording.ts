/**
 * Measures what a program pays when the kernel records an event that nobody reads. Prints it with the default of
 * `recording_cost`, from which `ftrace_exporter_recording_cpu_seconds_total` is estimated. Needs root, tracefs and gcc.
 */
import { execFileSync } from 'node:child_process';
import { loadAgentConfig } from '../src/agent/main/compose-config.ts';
import { onlineCpus } from '../src/host/cpus.ts';
import { createInstance, type Instance } from '../src/tracefs/instance.ts';
import { findTracefs } from '../src/tracefs/mount.ts';
import { saveNoTaskNames } from '../src/tracefs/task-names.ts';
import { median, workload } from './support.ts';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 9);
const LOADS = [
  { program: 'getppid', times: 1_000_000, events: ['raw_syscalls:sys_enter', 'raw_syscalls:sys_exit'] },
  {
    program: 'handover',
    times: 100_000,
    events: ['sched:sched_switch', 'sched:sched_waking', 'sched:sched_wakeup'],
  },
];

/** Runs a workload on CPU 0, and returns the nanoseconds per operation that the workload prints. */
function pinned(program: string, times: number): number {
  return Number(execFileSync('taskset', ['-c', '0', program, String(times)], { encoding: 'utf8' }));
}

function recorded(instance: Instance): number {
  return onlineCpus().reduce((sum, cpu) => {
    const { entries, overrun, readEvents } = instance.stats(cpu);
    return sum + entries + overrun + readEvents;
  }, 0);
}

export function benchRecording(): void {
  const { recordingNs } = loadAgentConfig({ env: {}, probes: [], flags: {} });
  console.log(
    `\nrecording an event that nobody reads, ${ROUNDS} alternating rounds; estimated with ${recordingNs} ns`,
  );
  for (const { program: name, times, events } of LOADS) {
    const program = workload(name);
    const perEvent: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const untracedNs = pinned(program, times);
      const instance = createInstance(
        findTracefs({ mayMount: true }),
        `ftrace-exporter-bench-${process.pid}`,
      );
      try {
        instance.prepare({ bufferBytesPerCpu: 4 * 2 ** 20, subbufferBytes: 4096, clock: 'mono' });
        saveNoTaskNames(instance);
        instance.enable(events);
        instance.start();
        const tracedNs = pinned(program, times);
        instance.stop();
        perEvent.push(((tracedNs - untracedNs) * times) / recorded(instance));
      } finally {
        instance.remove();
      }
    }
    const [mid, low, high] = [median(perEvent), Math.min(...perEvent), Math.max(...perEvent)];
    console.log(
      `${name} with ${events.join(', ')}: ${mid.toFixed(0)} ns per event (${low.toFixed(0)} – ${high.toFixed(0)})`,
    );
  }
}
