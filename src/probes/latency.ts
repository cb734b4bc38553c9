/**
 * How long is the worst-case latency? Six kernel tracers (kernel/trace/trace_sched_wakeup.c, trace_irqsoff.c) measure
 * latencies and keep only the longest. They have no events: the agent's capture thread reads each new maximum and
 * resets the tracer.
 */
import { DEFAULT_BUCKETS } from '../config/units/buckets.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';
import { declareMaxima } from './families.ts';
import type { CommonOptions, Probe, ProbeContext, ProbeModule } from './probe.ts';

type LatencyTracer = (typeof LATENCY_TRACERS)[number];

const HELP: Readonly<Record<LatencyTracer, string>> = {
  wakeup: 'Longest wait of the highest-priority task from its wake-up until it runs.',
  wakeup_rt: 'Longest wait of the highest-priority real-time task from its wake-up until it runs.',
  wakeup_dl: 'Longest wait of a deadline task from its wake-up until it runs.',
  irqsoff: 'Longest time that interrupts are off.',
  preemptoff: 'Longest time that preemption is off.',
  preemptirqsoff: 'Longest time that interrupts or preemption are off.',
};

const MAX = {
  name: 'ftrace_latency_tracer_max_seconds',
  help: 'Longest latency that a latency tracer measured within the last max_window (set in the config).',
  labels: ['tracer'],
  ownTime: true,
};
const RECORDS = {
  name: 'ftrace_latency_tracer_records_total',
  help: 'Times a latency tracer measured a new maximum. The maximum starts from 0 whenever the agent resets the tracer.',
  labels: ['tracer'],
};

export interface LatencyOptions extends CommonOptions {
  /**
   * Whether the kernel traces all functions all the time, at a high cost. This is the default of the kernel, but not of
   * the agent.
   */
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
          why: 'only one latency tracer can run at a time, because most of them share the kernel’s record of the longest latency',
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
