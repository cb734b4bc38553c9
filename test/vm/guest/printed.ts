/**
 * Prints a tracer's record as the kernel does, from our decoding of it: the text after the time stamp, with runs of
 * spaces as one. Source: kernel/trace/trace_output.c (trace_fn_trace(), trace_hwlat_print(), trace_osnoise_print(),
 * trace_timerlat_print()), include/trace/events/osnoise.h.
 */
import assert from 'node:assert/strict';
import type { Symbols } from './kallsyms.ts';
import type { FieldNeeds, RawEvent } from './raw-events.ts';

interface Printed extends FieldNeeds {
  print(event: RawEvent, symbols: Symbols): string;
}

const CONTEXTS = ['irq', 'thread', 'user'];
const NOISE = { ints: ['start', 'duration'] };

/** By event: the fields that its text needs, and how it is printed. */
export const PRINTED: Readonly<Record<string, Printed>> = {
  'ftrace:function': {
    exact: ['ip', 'parent_ip'],
    print: ({ exact: { ip, parent_ip } }, { nameOf }) => `${nameOf(ip)} <-${nameOf(parent_ip)}`,
  },
  'ftrace:timerlat': {
    ints: ['seqnum', 'context', 'timer_latency'],
    print: ({ ints: { seqnum, context, timer_latency } }) =>
      `#${seqnum} context ${CONTEXTS[context]} timer_latency ${timer_latency} ns`,
  },
  'ftrace:osnoise': {
    ints: [
      ...['runtime', 'noise', 'max_sample', 'hw_count', 'nmi_count', 'irq_count', 'softirq_count'],
      'thread_count',
    ],
    print: ({ ints }) => {
      const { runtime, noise, max_sample, hw_count, nmi_count, irq_count, softirq_count } = ints;
      const ratio = Math.floor(((runtime - noise) * 10_000_000) / runtime);
      const available = `${Math.floor(ratio / 100_000)}.${String(ratio % 100_000).padStart(5, '0')}`;
      const counts = [hw_count, nmi_count, irq_count, softirq_count, ints.thread_count];
      return `${runtime} ${noise} ${available} ${max_sample} ${counts.join(' ')}`;
    },
  },
  'osnoise:irq_noise': {
    ints: [...NOISE.ints, 'vector'],
    texts: ['desc'],
    print: (event) => `irq_noise: ${event.texts.desc}:${event.ints.vector} ${spanOf(event)}`,
  },
  'osnoise:softirq_noise': {
    ints: [...NOISE.ints, 'vector'],
    print: (event) => `softirq_noise: ${SOFTIRQS[event.ints.vector]}:${event.ints.vector} ${spanOf(event)}`,
  },
  'osnoise:thread_noise': {
    ints: [...NOISE.ints, 'pid'],
    texts: ['comm'],
    print: (event) => `thread_noise: ${event.texts.comm}:${event.ints.pid} ${spanOf(event)}`,
  },
  'osnoise:nmi_noise': { ...NOISE, print: (event) => `nmi_noise: ${spanOf(event)}` },
  'osnoise:sample_threshold': {
    ints: [...NOISE.ints, 'interference'],
    print: (event) => `sample_threshold: ${spanOf(event)} interference ${event.ints.interference}`,
  },
  'ftrace:hwlat': {
    ints: [
      ...['seqnum', 'duration', 'outer_duration', 'tv_sec', 'tv_nsec', 'count', 'nmi_count'],
      'nmi_total_ts',
    ],
    print: ({ ints }) => {
      const { seqnum, duration, outer_duration, tv_sec, tv_nsec, count } = ints;
      const ts = `${tv_sec}.${String(tv_nsec).padStart(9, '0')}`;
      const nmi = ints.nmi_count > 0 ? ` nmi-total:${ints.nmi_total_ts} nmi-count:${ints.nmi_count}` : '';
      return `#${seqnum} inner/outer(us): ${duration}/${outer_duration} ts:${ts} count:${count}${nmi}`;
    },
  },
};

const SOFTIRQS = [
  'HI',
  'TIMER',
  'NET_TX',
  'NET_RX',
  'BLOCK',
  'IRQ_POLL',
  'TASKLET',
  'SCHED',
  'HRTIMER',
  'RCU',
];

function spanOf({ ints: { start, duration } }: RawEvent): string {
  const rest = String(start % 1e9).padStart(9, '0');
  return `start ${Math.floor(start / 1e9)}.${rest} duration ${duration} ns`;
}

/** Events of `PRINTED` by the names of their records. */
export function printerOf(event: RawEvent): Printed['print'] {
  const entry = Object.entries(PRINTED).find(([name]) => name.split(':')[1] === event.name);
  assert.ok(entry, event.name);
  return entry[1].print;
}
