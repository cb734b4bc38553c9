/**
 * Computes how many samples each probe adds to a scrape of a node with a given number of CPUs. Feeds each probe events
 * for all series that such a node has. The probes and the store are the real ones; the records are made up.
 */
import assert from 'node:assert/strict';
import { declareCpuSeconds } from '../../src/agent/main/cpu-metrics.ts';
import { NOTHING_LOST } from '../../src/agent/plan/loss-ledger.ts';
import { makeSelfMetrics } from '../../src/agent/plan/self-metrics.ts';
import { BLOCK_EVENT, BLOCK_FORMAT_TEXT } from '../../src/decode/text/blk-format.ts';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { MetricStore } from '../../src/metrics/store.ts';
import { LATENCY_TRACERS } from '../../src/model/tracer.ts';
import { blk } from '../../src/probes/blk.ts';
import { block } from '../../src/probes/block.ts';
import { probeCatalogue } from '../../src/probes/catalogue.ts';
import { events } from '../../src/probes/events.ts';
import { functionCalls } from '../../src/probes/function.ts';
import { functionGraph } from '../../src/probes/function-graph.ts';
import { hwlat } from '../../src/probes/hwlat.ts';
import { irq } from '../../src/probes/irq.ts';
import { osnoise } from '../../src/probes/osnoise.ts';
import type { ProbeModule } from '../../src/probes/probe.ts';
import { sched } from '../../src/probes/sched.ts';
import { softirq } from '../../src/probes/softirq.ts';
import { syscalls } from '../../src/probes/syscalls.ts';
import { timerlat } from '../../src/probes/timerlat.ts';
import { type Machine, run } from '../unit/probes/records.ts';

export const DISKS = 10;
export const HANDLERS = 14;
export const VECTORS = 7;
export const SYSCALLS = 100;
export const ERRORS = 20;
export const FUNCTIONS = 10;
const USUAL_VALUES = 10;
const KERNEL = '6.12-rt';
const ENOENT = 2;
const EXEC = 'sched:sched_process_exec';

interface Fed {
  samples(): number;
}

const NAMES = { generation: 1, nameOf: (low: number) => `function${low}` };

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Functions that feed a probe, by the name of the probe. Tracers run on all CPUs of the node. */
const FEEDS: Readonly<Record<string, (cpus: readonly number[], machine: Machine) => Fed>> = {
  sched: (cpus, machine) => {
    const p = run(sched, {}, machine);
    for (const cpu of cpus)
      p.feed('sched:sched_switch', { ts: 1, cpu, prev_pid: 1, prev_state: 0, next_pid: 2, next_prio: 120 });
    // Every node has real-time tasks, because the kernel has its own.
    p.feed('sched:sched_switch', { ts: 2, prev_pid: 2, prev_state: 0, next_pid: 1, next_prio: 0 });
    return p;
  },
  block: (_, machine) => feedDisks(machine, false),
  'block, I/O scheduler': (_, machine) => feedDisks(machine, true),
  irq: (cpus, machine) => {
    const p = run(irq, {}, machine);
    for (const cpu of cpus) {
      for (const line of upTo(HANDLERS)) {
        p.feed('irq:irq_handler_entry', { ts: 1, cpu, irq: line, name: `device${line}x` });
        p.feed('irq:irq_handler_exit', { ts: 2, cpu, irq: line });
      }
    }
    return p;
  },
  softirq: (cpus, machine) => {
    const p = run(softirq, {}, machine);
    for (const cpu of cpus) {
      for (const vec of upTo(VECTORS)) {
        p.feed('irq:softirq_raise', { ts: 1, cpu, vec });
        p.feed('irq:softirq_entry', { ts: 2, cpu, vec });
        p.feed('irq:softirq_exit', { ts: 3, cpu, vec });
      }
    }
    return p;
  },
  syscalls: (_, machine) => {
    const host = {
      syscallName: (id: number) => `call${id}`,
      syscallIds: () => upTo(SYSCALLS),
      syscallEventName: (name: string) => name,
    };
    const p = run(syscalls, {}, { ...machine, host });
    for (const id of upTo(SYSCALLS)) {
      p.feed('raw_syscalls:sys_enter', { ts: 1, by: 7, id });
      p.feed('raw_syscalls:sys_exit', { ts: 2, by: 7, id, ret: id < ERRORS ? -ENOENT : 0 });
    }
    return p;
  },
  events: (cpus, machine) => {
    const p = run(events, { count: [EXEC] }, machine);
    for (const cpu of cpus) p.feed(EXEC, { ts: 1, cpu });
    return p;
  },
  function: (cpus, machine) => {
    const p = run(functionCalls, { unfiltered: true }, { ...machine, kernel: KERNEL, functions: NAMES });
    for (const cpu of cpus) for (const ip of upTo(FUNCTIONS)) p.feed('ftrace:function', { ts: 1, cpu, ip });
    return p;
  },
  function_graph: (cpus, machine) => {
    const p = run(functionGraph, { unfiltered: true }, { ...machine, kernel: KERNEL, functions: NAMES });
    for (const cpu of cpus)
      for (const func of upTo(FUNCTIONS))
        p.feed('ftrace:funcgraph_exit', { ts: 5, cpu, func, calltime: 10, rettime: 20 });
    return p;
  },
  osnoise: (cpus, machine) => {
    const p = run(osnoise, { cpus: listOf(cpus) }, { ...machine, kernel: KERNEL });
    for (const cpu of cpus) {
      p.feed('ftrace:osnoise', { ts: 1, cpu, runtime: 20_000, noise: 7438, max_sample: 3286 });
      p.feed('osnoise:irq_noise', { ts: 1, cpu, duration: 1 });
      p.feed('osnoise:softirq_noise', { ts: 1, cpu, duration: 1 });
      p.feed('osnoise:thread_noise', { ts: 1, cpu, duration: 1 });
      p.feed('osnoise:nmi_noise', { ts: 1, cpu, duration: 1 });
      p.feed('osnoise:sample_threshold', { ts: 1, cpu, duration: 5500, interference: 0 });
    }
    return p;
  },
  timerlat: (cpus, machine) => {
    const p = run(timerlat, { cpus: listOf(cpus) }, { ...machine, kernel: KERNEL });
    for (const cpu of cpus)
      for (const context of [0, 1]) p.feed('ftrace:timerlat', { ts: 1, cpu, context, timer_latency: 5 });
    return p;
  },
  hwlat: (cpus, machine) => {
    const p = run(hwlat, { cpus: listOf(cpus) }, { ...machine, kernel: KERNEL });
    for (const cpu of cpus) p.feed('ftrace:hwlat', { ts: 1, cpu, duration: 92, outer_duration: 206 });
    return p;
  },
  blk: (cpus, machine) => {
    const p = run(blk, {}, { ...machine, formats: { [BLOCK_EVENT]: BLOCK_FORMAT_TEXT } });
    const dev = (259 << 20) | 1;
    for (const cpu of cpus)
      for (const rwbs of ['R', 'W'])
        for (const action of ['Q', 'G', 'I', 'D', 'C'])
          p.feed(BLOCK_EVENT, { ts: 1, cpu, dev, action, rwbs, sector: 8, nr_bytes: 4096, error: 0 });
    return p;
  },
};

/** Leaves out latency tracers, because each has two samples on any node. */
const isSized = ({ name }: ProbeModule) => !(LATENCY_TRACERS as readonly string[]).includes(name);

/** Rows of the table in docs/sizing.md: probes in the order of the catalogue, each followed by its variants. */
export const SIZED_PROBES = probeCatalogue
  .filter(isSized)
  .flatMap(({ name }) => [name, ...Object.keys(FEEDS).filter((feed) => feed.startsWith(`${name}, `))]);

/**
 * For probes without a feed: number of values of a label. Required if it is below 5 or above 20; other labels have ten
 * by default. All combinations of labels are assumed to exist. After a change, run `npm run generate`.
 */
const LABEL_VALUES: Readonly<Record<string, number>> = {
  budget: 2,
  device: DISKS,
  errno: 1,
  family: 2,
  filesystem: 1,
  function: FUNCTIONS,
  handler: HANDLERS,
  kind: 3,
  node: 2,
  opcode: 5,
  procedure: 15,
  source: 7,
  state: 4,
  status: 2,
  syscall: SYSCALLS,
  type: 6,
  vector: VECTORS,
  workqueue: 20,
};

function samplesByLabels(probe: string, cpuCount: number): number {
  const module = probeCatalogue.find(({ name }) => name === probe);
  assert.ok(module !== undefined, probe);
  const valuesOf = (label: string) => (label === 'cpu' ? cpuCount : (LABEL_VALUES[label] ?? USUAL_VALUES));
  const families = run(module, {}, { cpuCount }).store.snapshot().families;
  return families
    .map(({ spec }) => spec)
    .filter(({ name }) => !name.startsWith('ftrace_exporter_'))
    .map(
      ({ labels, kind, bounds }) =>
        labels.map(valuesOf).reduce((product, count) => product * count, 1) *
        (kind === 'histogram' ? bounds.length + 3 : 1),
    )
    .reduce((sum, count) => sum + count, 0);
}

/** Feeds these probes like those of a node with this many CPUs. Their metrics are in `store`. */
export function feedNode(store: MetricStore, probes: readonly string[], cpuCount: number): void {
  for (const probe of probes) FEEDS[probe](upTo(cpuCount), { store, cpuCount, onlineCpus: upTo(cpuCount) });
}

/** Number of samples that a probe adds to a scrape. */
export function samplesOf(probe: string, cpuCount: number): number {
  const cpus = upTo(cpuCount);
  const feed = FEEDS[probe];
  if (feed === undefined) return samplesByLabels(probe, cpuCount);
  return feed(cpus, { store: new MetricStore(), cpuCount, onlineCpus: cpus }).samples();
}

/** Number of samples about the agent itself with the default probes, without `process_*` and `nodejs_*`. */
export function samplesOfAgent(cpuCount: number): number {
  const store = new MetricStore();
  const self = makeSelfMetrics(store, { maxWindowMs: 120_000, recordingNs: 150 });
  self.drainedAfter(1);
  const probes = ['sched', 'block', 'irq', 'softirq'];
  self.probesAre(probes.map((name) => ({ name, up: true, reason: '', events: [] })));
  self.probeEventsAre(new Map(probes.map((name) => [name, 1])));
  declareCpuSeconds(store);
  for (const probe of probes) {
    FEEDS[probe](upTo(cpuCount), { store, cpuCount, onlineCpus: upTo(cpuCount) });
    for (const reason of ['no_start', 'no_end', 'lost', 'late', 'evicted'] as const)
      self.unmatched(probe, reason);
  }
  self.update(
    'events',
    upTo(cpuCount).map((cpu) => ({
      cpu,
      events: 1,
      bytes: 1,
      loss: NOTHING_LOST,
      unreadBytes: 0,
      capacityBytes: 1,
    })),
  );
  const text = createRenderer().render([store.snapshot()], 'text').toString();
  return text.split('\n').filter((line) => line.startsWith('ftrace_exporter_')).length;
}

const listOf = (cpus: readonly number[]) => `0-${cpus.length - 1}`;

function feedDisks(machine: Machine, withScheduler: boolean): Fed {
  const p = run(block, {}, machine);
  for (const disk of upTo(DISKS)) {
    const dev = (259 << 20) | (disk + 1);
    for (const [rwbs, nr_sector] of [
      ['R', 8],
      ['W', 8],
      ['FF', 0],
    ] as const) {
      if (withScheduler && rwbs !== 'FF') p.feed('block:block_rq_insert', { ts: 1, dev, sector: 0, rwbs });
      p.feed('block:block_rq_issue', { ts: 2, dev, sector: 0, nr_sector, rwbs });
      p.feed('block:block_rq_complete', { ts: 3, dev, sector: 0, nr_sector, rwbs });
    }
  }
  return p;
}
