/**
 * Measures the cost of an event from page to metric. Records this machine under a mixed load, then replays the
 * recording from memory through the production path, in steps. The recording needs root and tracefs.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { makeOwnThreads } from '../src/agent/live/own-threads.ts';
import { loadAgentConfig } from '../src/agent/main/compose-config.ts';
import { enabledProbes } from '../src/agent/plan/enabled-probes.ts';
import { type EventPlan, planEvents } from '../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../src/agent/plan/self-metrics.ts';
import { recordCapture } from '../src/agent/record/record.ts';
import { makeDispatcher } from '../src/decode/dispatch.ts';
import { liveHostFacts } from '../src/host/facts.ts';
import { MetricStore } from '../src/metrics/store.ts';
import { openCapture } from '../src/tracedat/read.ts';
import { pagesOf, passes } from './passes.ts';
import { plainLoop } from './plain-loop.ts';
import { ended, median, workload } from './support.ts';

const ROUNDS = 25;
const SECONDS = 4;

/** Disk writes, directory walks, process starts and hand-overs between tasks, until the process is ended. */
function mixedLoad(dir: string) {
  const script = `while true; do
    dd if=/dev/zero of=${dir}/file bs=64k count=40 conv=fsync 2>/dev/null
    find /usr/share -name '*.so' >/dev/null 2>&1
    ${workload('handover')} 3000 >/dev/null
  done`;
  return spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

export async function benchPipeline(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-bench-'));
  const load = mixedLoad(dir);
  try {
    const config = loadAgentConfig({
      env: {},
      probes: [{ name: 'syscalls', on: true }],
      flags: { instance: `ftrace-exporter-bench-${process.pid}` },
    });
    const file = join(dir, 'mixed.dat');
    await recordCapture(config, { file, durationMs: SECONDS * 1000, log: quiet });
    process.kill(-(load.pid as number), 'SIGTERM');
    await ended(load, 'SIGKILL');
    await measure(file);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const STEPS = [
  ['copy', 'copy of the pages (part of all below)'],
  ['plain', 'plain loop: copy, walk, pair syscalls and count'],
  ['decode', 'decode and merge, copy included'],
  ['aggregate', 'decode, merge and aggregate, copy included'],
] as const;
type Step = (typeof STEPS)[number][0];

interface Measured {
  events: number;
  types: number;
  /** Milliseconds of each round. */
  times: number[];
}

/**
 * Each step runs in its own thread, as the agent's capture does: code that V8 compiled for one step must not slow the
 * next.
 */
async function measure(file: string): Promise<void> {
  const measured = new Map<Step, Measured>();
  for (const [step] of STEPS) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { file, step } });
    measured.set(
      step,
      await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject)),
    );
  }
  const { events = 0, types = 0 } = measured.get('aggregate') ?? {};
  for (const step of ['plain', 'decode'] as const) {
    const own = measured.get(step)?.events;
    if (own !== events) throw new Error(`${step}: ${own} events instead of ${events}`);
  }
  console.log(`\npage to metric: ${events} mixed events of ${types} types, ${ROUNDS} rounds`);
  console.log(`${'step'.padEnd(50)} ns/event   min   median`);
  for (const [step, title] of STEPS) {
    const perEvent = (measured.get(step)?.times ?? []).map((ms) => (ms * 1e6) / events);
    const [low, mid] = [Math.min(...perEvent), median(perEvent)].map((v) => v.toFixed(1).padStart(6));
    console.log(`${title.padEnd(50)}          ${low}   ${mid}`);
  }
  const best = (step: Step) => Math.min(...(measured.get(step)?.times ?? []));
  console.log(`all steps / the plain loop: ${(best('aggregate') / best('plain')).toFixed(2)}`);
}

function measureStep(file: string, step: Step): Measured {
  const capture = openCapture(file);
  const { layout } = capture.metadata;
  const cpus = capture.source.cpus();
  const pages = pagesOf(capture);
  const config = loadAgentConfig({ env: {}, probes: [{ name: 'syscalls', on: true }] });
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  const plan = planEvents({
    enabled: enabledProbes(config),
    metadata: capture.metadata,
    host: liveHostFacts({ machine: capture.metadata.machine }),
    onlineCpus: cpus,
    store,
    self,
    isSelf: makeOwnThreads().has,
  });
  const scratch = new Uint8Array(layout.pageSize);
  const copy = () => {
    for (const own of pages) for (const page of own) scratch.set(page);
    return 0;
  };
  const decodeOnly: EventPlan = { ...plan, dispatcher: makeDispatcher([]) };
  const replayed = () => passes(cpus, pages, layout, step === 'decode' ? decodeOnly : plan);
  const pass = step === 'copy' ? copy : step === 'plain' ? plainLoop(capture.metadata, pages) : replayed();
  const times: number[] = [];
  let events = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    events = pass();
    times.push(performance.now() - start);
  }
  capture.close();
  return { events, types: plan.events.length, times };
}

if (!isMainThread) {
  const { file, step } = workerData as { file: string; step: Step };
  parentPort?.postMessage(measureStep(file, step));
} else if (import.meta.main) {
  await benchPipeline();
}
