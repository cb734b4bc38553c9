/**
 * How much time do memory reclaim, compaction and the throttling of writers take? How many tasks does the OOM killer
 * kill?
 */

import { decimalBuckets } from '../config/units/buckets.ts';
import type { DeclaredMetric } from '../model/declared-metric.ts';
import { constant, counter, declaredProbe, histogram, pair } from './declared/built-in.ts';

const RECLAIM = 'ftrace_memory_reclaim_seconds';
const RECLAIMED = 'ftrace_memory_reclaimed_pages_total';
const FAULTS = 'ftrace_memory_page_faults_total';

/** `1 << n` for n in enum vmscan_throttle_state (include/linux/mmzone.h). The event's print fmt lacks the names. */
const THROTTLED_BY = { 1: 'writeback', 2: 'isolated', 4: 'no_progress', 8: 'congested' };

function reclaim(kind: string): DeclaredMetric {
  const event = `vmscan:mm_vmscan_${kind}_reclaim`;
  return pair(
    RECLAIM,
    'Time a task spent reclaiming memory, by kind of reclaim: direct, memcg or node.',
    `${event}_begin`,
    `${event}_end`,
    {
      labels: { kind: constant(kind) },
    },
  );
}

function reclaimed(kind: string): DeclaredMetric {
  return counter(
    RECLAIMED,
    'Memory pages that tasks reclaimed, by kind of reclaim: direct, memcg or node.',
    `vmscan:mm_vmscan_${kind}_reclaim_end`,
    {
      kind: 'sum',
      measure: { field: 'nr_reclaimed', unit: 'pages' },
      labels: { kind: constant(kind) },
    },
  );
}

function faults(kind: string): DeclaredMetric {
  return counter(
    FAULTS,
    'Page faults, by the mode in which the CPU ran: user or kernel.',
    `exceptions:page_fault_${kind}`,
    {
      labels: { kind: constant(kind) },
    },
  );
}

const KINDS = ['direct', 'memcg', 'node'];

export const memory = declaredProbe<{ page_faults: boolean }>({
  name: 'memory',
  help: 'How long tasks reclaim and compact memory or are throttled, and how often the OOM killer runs.',
  rate: 'low',
  ofTasks: true,
  buckets: decimalBuckets(1e-5, 10),
  schema: ({ z }) => ({ page_faults: z.boolean().default(false) }),
  isOn: ({ name }, { page_faults }) => name !== FAULTS || page_faults,
  metrics: [
    ...KINDS.map(reclaim),
    ...KINDS.map(reclaimed),
    histogram(
      'ftrace_memory_reclaim_throttled_seconds',
      'Time a task was throttled while it reclaimed memory, by reason.',
      'vmscan:mm_vmscan_throttled',
      { field: 'usec_delayed', unit: 'us' },
      { labels: { reason: { as: 'map', map: THROTTLED_BY } }, taskTime: 'spent' },
    ),
    pair(
      'ftrace_memory_kswapd_seconds_total',
      'Time that kswapd was awake, by NUMA node. The time is added when kswapd goes back to sleep.',
      'vmscan:mm_vmscan_kswapd_wake',
      'vmscan:mm_vmscan_kswapd_sleep',
      { kind: 'sum', key: ['nid'], nested: 'first', labels: { node: 'end.nid' } },
    ),
    pair(
      'ftrace_memory_compaction_seconds',
      'Duration of one compaction of a memory zone.',
      'compaction:mm_compaction_begin',
      'compaction:mm_compaction_end',
    ),
    histogram(
      'ftrace_memory_dirty_throttled_seconds',
      'Time a writing task was paused because there were too many dirty pages, by device.',
      { event: 'writeback:balance_dirty_pages', where: 'pause > 0' },
      { field: 'pause', unit: 'ms' },
      { labels: { device: 'bdi' }, taskTime: 'spends' },
    ),
    counter(
      'ftrace_memory_oom_kills_total',
      'Tasks that the OOM killer chose as victims.',
      'oom:mark_victim',
      {
        isNobodys: true,
        task: 'pid',
      },
    ),
    faults('user'),
    faults('kernel'),
  ],
});
