/**
 * Measures the cost of the whole agent on this machine: CPU time per event under a syscall load, CPU time at idle with
 * the default probes, and resident memory after 10 million events and later. Needs root, tracefs and gcc.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { bufferSizes, nextTickNs } from '../src/agent/plan/sizes.ts';
import { createInstance } from '../src/tracefs/instance.ts';
import { findTracefs } from '../src/tracefs/mount.ts';
import {
  cpuSeconds,
  cpuSecondsByThread,
  median,
  type RunningAgent,
  readCalls,
  residentBytes,
  sleep,
  startAgent,
  sumOf,
  workload,
} from './support.ts';

const ROUNDS = 8;
/** These first rounds do not count, because V8 compiles most code in them. */
const WARMING = 3;
const CALLS = 3_000_000;
const IDLE_SECONDS = 20;
const AUTO = { totalBytes: 64 * 2 ** 20, subbufferBytes: 'auto' } as const;

export async function benchLive(): Promise<void> {
  await underLoad();
  await idle();
  manyCpus();
}

/**
 * Computes the cost of one look at 64 quiet CPUs. A look is one read per CPU, of a sub-buffer with a few events or of an
 * empty one. Measures the time of both.
 */
function manyCpus(): void {
  const subbufferBytes = bufferSizes(AUTO, { cpus: 64, realtime: false }, 'low').subbufferBytes;
  const bufferBytesPerCpu = bufferSizes(AUTO, { cpus: 64, realtime: false }, 'low').bufferBytesPerCpu;
  const instance = createInstance(findTracefs({ mayMount: true }), `ftrace-exporter-bench-${process.pid}`);
  Error.stackTraceLimit = 0;
  try {
    instance.prepare({ bufferBytesPerCpu, subbufferBytes, clock: 'mono' });
    const pages = instance.openPages();
    const into = Array.from({ length: 4 }, () => new Uint8Array(subbufferBytes));
    instance.start();
    const partFilled: number[] = [];
    const empty: number[] = [];
    for (let i = 0; i < 3000; i++) {
      instance.writeMarker('x');
      for (const cpu of pages.cpus()) {
        const start = performance.now();
        const length = pages.readPages(cpu, into);
        const took = performance.now() - start;
        (length > 0 ? partFilled : empty).push(took * 1000);
      }
    }
    const [part, none] = [median(partFilled), median(empty)];
    const tick = nextTickNs(
      { rate: 'low', drainIntervalNs: 50e6, bufferBytesPerCpu, cpus: 64 },
      Number.POSITIVE_INFINITY,
    );
    const share = (64 * part * 1e-6) / (tick / 1e9);
    console.log(
      `\n64 CPUs, computed: a look at a CPU with a few events ${part.toFixed(1)} µs, at an empty one ${none.toFixed(1)} µs;`,
    );
    console.log(`all 64 with events, every ${tick / 1e6} ms: ${(share * 100).toFixed(2)} % of one core`);
  } finally {
    instance.remove();
  }
}

async function reading(agent: RunningAgent) {
  const text = await agent.metrics();
  return {
    events: sumOf(text, 'ftrace_exporter_events_read_total'),
    lost: sumOf(text, 'ftrace_exporter_events_lost_total'),
    cpu: cpuSeconds(agent.pid),
    threads: cpuSecondsByThread(agent.pid),
    reads: readCalls(agent.pid),
    at: performance.now(),
  };
}

type Reading = Awaited<ReturnType<typeof reading>>;

/** CPU time by thread in nanoseconds per event, and events per read call. */
function parts(before: Reading, after: Reading): string {
  const events = after.events - before.events;
  const byThread = [...after.threads].map(([name, seconds]) => {
    const ns = ((seconds - (before.threads.get(name) ?? 0)) * 1e9) / events;
    return `${name} ${ns.toFixed(1)}`;
  });
  return `${byThread.join(', ')}; ${(events / (after.reads - before.reads)).toFixed(0)} events per read`;
}

async function underLoad(): Promise<void> {
  const program = workload('getppid');
  const agent = await startAgent('probes: { syscalls: {} }\n');
  try {
    await sleep(1000);
    const perEvent: number[] = [];
    const rates: number[] = [];
    let warm = await reading(agent);
    let after = warm;
    for (let round = 0; round < ROUNDS; round++) {
      const before = await reading(agent);
      if (round === WARMING) warm = before;
      await promisify(execFile)('taskset', ['-c', '0', program, String(CALLS)]);
      await sleep(150);
      after = await reading(agent);
      const events = after.events - before.events;
      perEvent.push(((after.cpu - before.cpu) * 1e9) / events);
      rates.push(events / ((after.at - before.at) / 1000));
    }
    const text = perEvent.map((ns) => ns.toFixed(0)).join(' ');
    console.log(`\nagent under a getppid loop, syscalls and default probes, ${ROUNDS} rounds`);
    console.log(
      `CPU of the whole agent, ns per event: ${text}, median ${median(perEvent.slice(WARMING)).toFixed(0)} without the first ${WARMING}`,
    );
    console.log(`of that by thread: ${parts(warm, after)}`);
    console.log(`events per second: median ${Math.round(median(rates))}; lost in all: ${after.lost}`);
    console.log(
      `resident memory after ${after.events} events: ${(residentBytes(agent.pid) / 2 ** 20).toFixed(1)} MiB`,
    );
  } finally {
    await agent.stop();
  }
}

async function idle(): Promise<void> {
  const agent = await startAgent('');
  try {
    await sleep(3000);
    const before = cpuSeconds(agent.pid);
    await sleep(IDLE_SECONDS * 1000);
    const share = (cpuSeconds(agent.pid) - before) / IDLE_SECONDS;
    console.log(`\nagent with the default probes, ${IDLE_SECONDS} s without a load from this benchmark`);
    console.log(
      `CPU: ${(share * 100).toFixed(2)} % of one core; resident memory ${(residentBytes(agent.pid) / 2 ** 20).toFixed(1)} MiB`,
    );
  } finally {
    await agent.stop();
  }
}

if (import.meta.main) await benchLive();
