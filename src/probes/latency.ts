/**
 * How long is the longest latency of a kind? Six tracers of the kernel keep only the worst case they have met: from a
 * wake-up to its task running (kernel/trace/trace_sched_wakeup.c), and with interrupts or preemption off
 * (kernel/trace/trace_irqsoff.c). They have no events. The capture reads each new maximum and restarts the tracer; this
 * probe counts them and shows the largest of a sliding window.
 *
 * Unless `function-trace` is off, they also trace every function of the kernel, which makes the latencies longer.
 */
import { DEFAULT_BUCKETS } from '../config/units/buckets.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';
import { declareMaxima } from './families.ts';
import type { CommonOptions, Probe, ProbeContext, ProbeModule } from './probe.ts';

type LatencyTracer = (typeof LATENCY_TRACERS)[number];

const HELP: Readonly<Record<LatencyTracer, string>> = {
  wakeup: 'How long the task of the highest priority waits to run after its wake-up, at worst.',
  wakeup_rt: 'How long the real-time task of the highest priority waits to run after its wake-up, at worst.',
  wakeup_dl: 'How long a deadline task waits to run after its wake-up, at worst.',
  irqsoff: 'How long interrupts are off, at worst.',
  preemptoff: 'How long preemption is off, at worst.',
  preemptirqsoff: 'How long interrupts or preemption are off, at worst.',
};

const MAX = {
  name: 'ftrace_latency_tracer_max_seconds',
  help: 'Longest latency that a latency tracer measured within max_window.',
  labels: ['tracer'],
  ownTime: true,
};
const RECORDS = {
  name: 'ftrace_latency_tracer_records_total',
  help: 'Times that a latency tracer measured a latency longer than all since its maximum was last reset.',
  labels: ['tracer'],
};

export interface LatencyOptions extends CommonOptions {
  /** Whether to record the functions on the way; the kernel then traces all its functions. */
  functions: boolean;
}

export function latencyProbe(tracer: LatencyTracer): ProbeModule<LatencyOptions> {
  return {
    name: tracer,
    help: HELP[tracer],
    byDefault: false,
    choosesForKind: 'runs the tracer',
    rate: 'low',
    schema: ({ probeSchema, z }) =>
      probeSchema(
        { enabled: false, per_cpu: false, max_series: 500, buckets: DEFAULT_BUCKETS },
        { functions: z.boolean().default(false) },
      ),
    tracer: (options) => ({
      tracer,
      where: 'instance',
      reads: 'latency',
      options: { 'function-trace': options.functions ? '1' : '0', 'display-graph': '0' },
      knobs: [],
    }),
    needs: () => [],
    conflict: (_options, others) => {
      const other = LATENCY_TRACERS.find((name) => name !== tracer && others.has(name));
      return (
        other && {
          with: other,
          why: 'the kernel has one place for the worst latency, so only one of these tracers can run at a time',
        }
      );
    },
    create: (context) => createLatency(context, tracer),
    metrics: [MAX, RECORDS],
  };
}

function createLatency(context: ProbeContext, tracer: LatencyTracer): Probe {
  const maxima = declareMaxima(context, MAX);
  const records = context.metrics.counter(RECORDS);
  const sink = context.intervals.latency;
  const maxSlot = maxima.slot([tracer]);
  const recordSlot = records.slot([tracer]);
  return {
    handlers: {},
    onLatency: (ns, trace) => {
      maxima.record(maxSlot, ns);
      records.add(recordSlot, 1);
      sink?.record(tracer, ns, trace);
    },
  };
}
