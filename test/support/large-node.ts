/** Simulates a node of 64 CPUs and ten disks: feeds the default probes events for all series that such a node has. */

import { declareCpuSeconds } from '../../src/agent/main/cpu-metrics.ts';
import { NOTHING_LOST } from '../../src/agent/plan/loss-ledger.ts';
import { makeSelfMetrics } from '../../src/agent/plan/self-metrics.ts';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { createProcessMetrics } from '../../src/export/process-metrics.ts';
import { MetricStore } from '../../src/metrics/store.ts';
import { block } from '../../src/probes/block.ts';
import { irq } from '../../src/probes/irq.ts';
import { sched } from '../../src/probes/sched.ts';
import { softirq } from '../../src/probes/softirq.ts';
import { run } from '../unit/probes/records.ts';

export const CPUS = Array.from({ length: 64 }, (_, cpu) => cpu);

/**
 * Feeds default probes, whose metrics are in `store`: 14 interrupt handlers, 7 softirqs, and reads, writes and flushes
 * of each disk. With an I/O scheduler, requests wait in a queue first. Returns the number of samples.
 */
export function feedLargeNode(store: MetricStore, withScheduler: boolean): number {
  const machine = { store, cpuCount: 128, onlineCpus: CPUS };
  const tasks = run(sched, {}, machine);
  const disks = run(block, {}, machine);
  const hard = run(irq, {}, machine);
  const soft = run(softirq, {}, machine);
  for (const cpu of CPUS) {
    // Tasks of two scheduling classes, because the kernel's own real-time tasks run on every node.
    tasks.feed('sched:sched_switch', { ts: 1, cpu, prev_pid: 1, prev_state: 0, next_pid: 2, next_prio: 120 });
    tasks.feed('sched:sched_switch', { ts: 2, cpu, prev_pid: 2, prev_state: 0, next_pid: 1, next_prio: 0 });
    for (let vec = 0; vec < 7; vec++) {
      soft.feed('irq:softirq_raise', { ts: 1, cpu, vec });
      soft.feed('irq:softirq_entry', { ts: 2, cpu, vec });
      soft.feed('irq:softirq_exit', { ts: 3, cpu, vec });
    }
    for (let i = 0; i < 14; i++) {
      hard.feed('irq:irq_handler_entry', { ts: 1, cpu, irq: i, name: `device${i}x` });
      hard.feed('irq:irq_handler_exit', { ts: 2, cpu, irq: i });
    }
  }
  for (let minor = 1; minor <= 10; minor++) {
    const dev = (259 << 20) | minor;
    for (const [rwbs, nr_sector] of [
      ['R', 8],
      ['W', 8],
      ['FF', 0],
    ] as const) {
      // Flushes bypass the scheduler.
      if (withScheduler && rwbs !== 'FF')
        disks.feed('block:block_rq_insert', { ts: 1, dev, sector: 0, rwbs });
      disks.feed('block:block_rq_issue', { ts: 2, dev, sector: 0, nr_sector, rwbs });
      disks.feed('block:block_rq_complete', { ts: 3, dev, sector: 0, nr_sector, rwbs });
    }
  }
  return disks.samples();
}

const PROBES = ['sched', 'block', 'irq', 'softirq'];
const REASONS = ['no_start', 'no_end', 'lost', 'late', 'evicted'] as const;

/** Text of a scrape of the simulated node. `more` feeds further probes. */
export async function scrapeOfLargeNode(
  withScheduler: boolean,
  more?: (store: MetricStore) => void,
): Promise<string> {
  const store = new MetricStore();
  const self = makeSelfMetrics(store, { maxWindowMs: 120_000, recordingNs: 150 });
  self.drainedAfter(1);
  self.probesAre(PROBES.map((name) => ({ name, up: true, reason: '', events: [] })));
  self.probeEventsAre(new Map(PROBES.map((name) => [name, 1])));
  declareCpuSeconds(store);
  for (const probe of PROBES) for (const reason of REASONS) self.unmatched(probe, reason);
  feedLargeNode(store, withScheduler);
  more?.(store);
  const readings = CPUS.map((cpu) => ({
    cpu,
    events: 1,
    bytes: 1,
    loss: NOTHING_LOST,
    unreadBytes: 0,
    capacityBytes: 1,
  }));
  self.update('events', readings);
  const body = createRenderer().render([store.snapshot()], 'text', await createProcessMetrics()());
  return body.toString();
}
