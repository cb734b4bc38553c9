/**
 * Measures the cost of `per_container` of the probe sched: records hand-overs between tasks, and replays them from
 * memory, in alternating rounds without and with a table of 200 containers. Recording needs root and tracefs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadAgentConfig } from '../src/agent/main/compose-config.ts';
import { enabledProbes } from '../src/agent/plan/enabled-probes.ts';
import { planEvents } from '../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../src/agent/plan/self-metrics.ts';
import { recordCapture } from '../src/agent/record/record.ts';
import { liveHostFacts } from '../src/host/facts.ts';
import { MetricStore } from '../src/metrics/store.ts';
import { type Containers, FIRST_CONTAINER, FIXED_LABELS } from '../src/model/containers.ts';
import { openCapture } from '../src/tracedat/read.ts';
import { pagesOf, passes } from './passes.ts';
import { ended, workload } from './support.ts';

const ROUNDS = 140;
/** Rounds that do not count, because V8 is still compiling. */
const WARM_UP = 20;
const SECONDS = 1;
const PAIRS_OF_TASKS = 8;
const CONTAINERS = 200;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function onlySched(more: object) {
  const probes = ['block', 'irq', 'softirq'].map((name) => ({ name, on: false }));
  return loadAgentConfig({
    env: {},
    probes,
    flags: { instance: `ftrace-exporter-bench-${process.pid}` },
    ...more,
  });
}

/** Every task is in one of the containers. */
function containers(): Containers {
  const table = new Uint8Array(1 << 22).map((_, tid) => FIRST_CONTAINER + (tid % CONTAINERS));
  const slots = Array.from({ length: FIRST_CONTAINER + CONTAINERS }, (_, slot) => slot);
  return {
    table,
    miss: () => {},
    labels: (slot) => FIXED_LABELS[slot] ?? ['', '', `container-${slot}`],
    slots: () => slots,
    usage: () => undefined,
    ids: () => undefined,
    onRelease: () => () => {},
    missed: () => ({ unknown: 0, surplus: 0 }),
  };
}

export async function benchContainers(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-bench-'));
  const one = `${workload('handover')} 1000000000 >/dev/null & `;
  const load = spawn('sh', ['-c', `${one.repeat(PAIRS_OF_TASKS)} wait`], { stdio: 'ignore', detached: true });
  try {
    const file = join(dir, 'sched.dat');
    await recordCapture(onlySched({}), { file, durationMs: SECONDS * 1000, log: quiet });
    process.kill(-(load.pid as number), 'SIGKILL');
    await ended(load, 'SIGKILL');
    await measure(file);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs both variants in threads of their own and in alternating rounds, so that a disturbance affects both. */
async function measure(file: string): Promise<void> {
  const workers = [false, true].map(
    (isOn) => new Worker(new URL(import.meta.url), { workerData: { file, isOn } }),
  );
  const perEvent: number[][] = workers.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, worker] of workers.entries()) {
      worker.postMessage('go');
      const [ns] = await once(worker, 'message');
      perEvent[i].push(ns as number);
    }
  }
  for (const worker of workers) await worker.terminate();
  const [without, withThem] = perEvent.map((all) => mean(all.slice(WARM_UP)));
  console.log(
    `\nsched without and with ${CONTAINERS} containers, ${ROUNDS} rounds in turn: means of CPU time`,
  );
  console.log(
    `${without.toFixed(1)} and ${withThem.toFixed(1)} ns/event, ratio ${(withThem / without).toFixed(2)}`,
  );
}

const mean = (all: readonly number[]) => all.reduce((sum, one) => sum + one, 0) / all.length;

function serve(port: MessagePort, file: string, isOn: boolean): void {
  const capture = openCapture(file);
  const { layout } = capture.metadata;
  const cpus = capture.source.cpus();
  const pages = pagesOf(capture);
  const store = new MetricStore();
  const [sched] = enabledProbes(onlySched({}));
  const plan = planEvents({
    enabled: [{ ...sched, options: { ...sched.options, per_container: isOn } }],
    metadata: capture.metadata,
    host: {
      ...liveHostFacts({ machine: capture.metadata.machine }),
      ...(isOn && { containers: containers() }),
    },
    onlineCpus: cpus,
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  const pass = passes(cpus, pages, layout, plan);
  port.on('message', () => {
    // Each pass replays the same timestamps, so drop the state that the previous pass left behind.
    for (const cpu of cpus) plan.onLoss(cpu, 0);
    const before = process.threadCpuUsage();
    const events = pass();
    const { user, system } = process.threadCpuUsage(before);
    port.postMessage(((user + system) * 1e3) / events);
  });
}

if (!isMainThread && parentPort !== null) {
  const { file, isOn } = workerData as { file: string; isOn: boolean };
  serve(parentPort, file, isOn);
} else if (import.meta.main) {
  await benchContainers();
}
