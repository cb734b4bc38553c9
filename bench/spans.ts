/**
 * Measures the cost of spans while no operation is slow. Compares the CPU time of the whole agent without and with the
 * kinds syscalls, sched and block, in turns, under a load of syscalls, hand-overs and disk writes. Then replays a
 * recording with spans, to measure what the capture thread allocates. Needs root, tracefs and gcc.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerformanceObserver } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadAgentConfig } from '../src/agent/main/compose-config.ts';
import { enabledProbes } from '../src/agent/plan/enabled-probes.ts';
import { planEvents } from '../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../src/agent/plan/self-metrics.ts';
import { openSpanCapture } from '../src/agent/slow/span-capture.ts';
import { liveHostFacts } from '../src/host/facts.ts';
import { MetricStore } from '../src/metrics/store.ts';
import { openCapture } from '../src/tracedat/read.ts';
import { pagesOf, passes } from './passes.ts';
import { cpuSeconds, ended, median, root, sleep, startAgent, sumOf, workload } from './support.ts';

const ROUNDS = 5;
const ROUND_MS = 4000;
const PASSES_EVENTS = 10e6;
const PROBES = 'probes: { syscalls: {}, sched: {}, block: {} }\n';
const SPANS = 'spans: { kinds: { syscalls: {}, sched: {}, block: {} } }\n';

/** Syscalls, hand-overs between tasks and disk writes, with pauses: about 500,000 events per second. */
function mixedLoad(dir: string) {
  const script = `
    (while true; do taskset -c 0 ${workload('getppid')} 60000 >/dev/null; sleep 0.1; done) &
    (while true; do ${workload('handover')} 2000 >/dev/null; sleep 0.1; done) &
    while true; do dd if=/dev/zero of=${dir}/file bs=64k count=40 conv=fsync 2>/dev/null; sleep 0.2; done`;
  return spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
}

async function nsPerEvent(
  config: string,
): Promise<{ ns: number; perSecond: number; lost: number; made: number }> {
  const agent = await startAgent(config);
  try {
    // Wait until V8 has compiled the hot code.
    await sleep(2500);
    const read = async () => {
      const text = await agent.metrics();
      return { events: sumOf(text, 'ftrace_exporter_events_read_total'), cpu: cpuSeconds(agent.pid), text };
    };
    const [before, startMs] = [await read(), performance.now()];
    await sleep(ROUND_MS);
    const [after, endMs] = [await read(), performance.now()];
    const events = after.events - before.events;
    return {
      ns: ((after.cpu - before.cpu) * 1e9) / events,
      perSecond: (events / (endMs - startMs)) * 1000,
      lost: sumOf(after.text, 'ftrace_exporter_events_lost_total'),
      made: sumOf(after.text, 'ftrace_exporter_traces_total'),
    };
  } finally {
    await agent.stop();
  }
}

export async function benchSpans(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-bench-'));
  const load = mixedLoad(dir);
  try {
    const rounds: { off: number; on: number; perSecond: number; lost: number; made: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const order = round % 2 === 0 ? [PROBES, PROBES + SPANS] : [PROBES + SPANS, PROBES];
      const results = [await nsPerEvent(order[0]), await nsPerEvent(order[1])];
      const [off, on] = round % 2 === 0 ? results : results.reverse();
      rounds.push({ ...on, off: off.ns, on: on.ns });
    }
    const ratios = rounds.map(({ on, off }) => on / off);
    const text = (values: readonly number[], digits: number) =>
      values.map((v) => v.toFixed(digits)).join(' ');
    console.log(
      `\nagent with syscalls, sched and block, ${ROUNDS} rounds without and with spans of all three`,
    );
    console.log(
      `events per second: ${text(
        rounds.map(({ perSecond }) => perSecond),
        0,
      )}`,
    );
    console.log(
      `CPU of the whole agent, ns per event, without: ${text(
        rounds.map(({ off }) => off),
        0,
      )}`,
    );
    console.log(
      `with: ${text(
        rounds.map(({ on }) => on),
        0,
      )}`,
    );
    console.log(`with / without: ${text(ratios, 2)}, median ${median(ratios).toFixed(2)}`);
    console.log(
      `traces made: ${text(
        rounds.map(({ made }) => made),
        0,
      )}; events lost: ${text(
        rounds.map(({ lost }) => lost),
        0,
      )}`,
    );
    await allocations();
  } finally {
    process.kill(-(load.pid as number), 'SIGTERM');
    await ended(load, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Replays the demo capture again and again with thresholds that nothing reaches. Prints how often the heap is collected
 * and how much it grows.
 */
export async function allocations(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const capture = openCapture(join(root, 'captures', 'demo.dat'));
  const { layout } = capture.metadata;
  const cpus = capture.source.cpus();
  const pages = pagesOf(capture);
  const passOf = (spans: object) => {
    const config = loadAgentConfig({ env: {}, probes: [{ name: 'syscalls', on: true }] });
    const host = liveHostFacts({ machine: capture.metadata.machine });
    const store = new MetricStore();
    const enabled = enabledProbes(config);
    const { probes } = openSpanCapture({
      config: { maxTracesPerSecond: 50, containers: false, kinds: spans },
      enabled,
      host,
      store,
      cpuCount: cpus.length,
      isSelf: () => false,
    });
    const plan = planEvents({
      enabled: probes,
      metadata: capture.metadata,
      host,
      onlineCpus: cpus,
      store,
      self: makeSelfMetrics(store),
      isSelf: () => false,
    });
    return passes(cpus, pages, layout, plan);
  };
  const never = { thresholdNs: 3600e9 };
  for (const [title, kinds] of [
    ['without spans', {}],
    ['with spans of all three', { syscalls: never, sched: never, block: never }],
  ] as const) {
    const pass = passOf(kinds);
    for (let warm = 0; warm < 20; warm++) pass();
    collectGarbage();
    await sleep(50);
    let collections = 0;
    const observer = new PerformanceObserver((list) => {
      collections += list.getEntries().length;
    });
    observer.observe({ entryTypes: ['gc'] });
    const before = process.memoryUsage().heapUsed;
    pass();
    let events = 0;
    while (events < PASSES_EVENTS) events += pass();
    const grown = process.memoryUsage().heapUsed - before;
    await sleep(50);
    observer.disconnect();
    collectGarbage();
    const growth = process.memoryUsage().heapUsed - before;
    console.log(
      `${title}: ${(events / 1e6).toFixed(1)} million events; ${collections} garbage collections, and since the last the heap grew by ${(grown / 1024).toFixed(0)} KiB, of which ${(growth / 1024).toFixed(0)} KiB stay`,
    );
  }
  capture.close();
}

if (import.meta.main) await benchSpans();
