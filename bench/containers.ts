/**
 * Measures the cost of `per_container` of the probe sched with 200 containers. First what sched adds to a hand-over
 * between two tasks, without and with `per_container`: the time that recording takes, and the agent's CPU time. Then
 * only the agent's part: records hand-overs and replays them from memory. Rounds alternate. Needs root, tracefs and gcc.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
import { hierarchyDir, makeGroup } from '../test/support/cgroups.ts';
import { agentWith, ROUNDS, untraced } from './contenders.ts';
import { pagesOf, passes } from './passes.ts';
import { ended, median, workload } from './support.ts';
import { HANDOVERS } from './traced-cost.ts';

const REPLAYS = 140;
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
  await measureWhole();
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

/** The hand-overs take place in one of the containers; in each other one, a task sleeps. */
async function measureWhole(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-bench-'));
  const hierarchy = hierarchyDir('cpu');
  if (hierarchy === undefined) throw new Error('no hierarchy of control groups with the controller cpu');
  const removals: (() => void)[] = [];
  const sleepers: ChildProcess[] = [];
  try {
    for (let i = 0; i < CONTAINERS; i++) {
      const group = makeGroup({ atEnd: (end) => void removals.push(end) }, hierarchy);
      const sleeper = spawn('sleep', ['3600'], { stdio: 'ignore' });
      sleepers.push(sleeper);
      writeFileSync(join(group.dir, 'cgroup.procs'), String(sleeper.pid));
      if (i > 0) continue;
      const enter = `echo $$ > ${join(group.dir, 'cgroup.procs')}`;
      writeFileSync(join(dir, 'handover'), `#!/bin/sh\n${enter}\nexec ${workload('handover')} "$@"\n`);
      chmodSync(join(dir, 'handover'), 0o755);
    }
    const work = { ...HANDOVERS, program: join(dir, 'handover') };
    const contenders = [untraced, agentWith('sched'), agentWith('sched', '{ per_container: true }')];
    const rounds: number[][] = contenders.map(() => []);
    for (let round = 0; round < ROUNDS; round++)
      for (const [i, contender] of contenders.entries()) rounds[i].push((await contender.round(work)).ns);
    const [plain, without, withThem] = rounds.map(median);
    const ratios = rounds[2].map((ns, i) => (ns - rounds[0][i]) / (rounds[1][i] - rounds[0][i]));
    console.log(
      `\n${work.title} on CPU 0, tool CPU counted in, ${ROUNDS} alternating rounds, medians in ns:`,
    );
    console.log(
      `untraced ${plain.toFixed(0)}; sched adds ${(without - plain).toFixed(0)}, with ${CONTAINERS} containers ${(withThem - plain).toFixed(0)}, ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    );
  } finally {
    for (const sleeper of sleepers) await ended(sleeper, 'SIGKILL');
    for (const remove of removals) remove();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs both variants in threads of their own and in alternating rounds, so that a disturbance affects both. */
async function measure(file: string): Promise<void> {
  const workers = [false, true].map(
    (isOn) => new Worker(new URL(import.meta.url), { workerData: { file, isOn } }),
  );
  const perEvent: number[][] = workers.map(() => []);
  for (let round = 0; round < REPLAYS; round++) {
    for (const [i, worker] of workers.entries()) {
      worker.postMessage('go');
      const [ns] = await once(worker, 'message');
      perEvent[i].push(ns as number);
    }
  }
  for (const worker of workers) await worker.terminate();
  const [without, withThem] = perEvent.map((all) => mean(all.slice(WARM_UP)));
  console.log(
    `\nsched without and with ${CONTAINERS} containers, ${REPLAYS} replays in turn: means of CPU time`,
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
