/**
 * How late is the interrupt of a timer, and how late is the thread that the interrupt wakes? The timerlat tracer
 * (kernel/trace/trace_osnoise.c) runs a periodic timer and a thread (SCHED_FIFO, priority 95) on each chosen CPU. It
 * measures both delays from the planned expiry of the timer.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import type { TimerlatSink } from '../model/intervals.ts';
import type { EventRecord } from '../model/record.ts';
import type { Knob } from '../model/tracer.ts';
import { declareCpuMaxima, declareDurations, onCpus } from './families.ts';
import { noiseHandlers, noiseNeeds } from './noise.ts';
import { type CpuOptions, cpuListKnob, microsecondsKnob, mustNameCpus } from './options/cpu-choice.ts';
import type { Probe, ProbeContext, ProbeModule } from './probe.ts';

const SAMPLE = 'ftrace:timerlat';

/** By the number in the field `context`. `other` is for numbers that later kernels may add. */
const CONTEXTS = ['irq', 'thread', 'user', 'other'];
const IRQ = 0;
const THREAD = 1;
const OTHER = 3;

const LATENCY = {
  name: 'ftrace_timerlat_latency_seconds',
  help: 'Delay from the planned expiry of a timer until its interrupt ran ("irq"), until its thread ran ("thread") or until the thread returned to user space ("user").',
  labels: ['context'],
  ownTime: true,
};
const MAX = {
  name: 'ftrace_timerlat_max_latency_seconds',
  help: 'Longest delay within the last max_window (set in the config): from the planned expiry of a timer until its interrupt ran ("irq"), until its thread ran ("thread") or until the thread returned to user space ("user").',
  labels: ['cpu', 'context'],
  ownTime: true,
};

const US = 1e3;
const S = 1e9;

export interface TimerlatOptions extends CpuOptions {
  period: number;
  stop_irq?: number | undefined;
  stop_thread?: number | undefined;
}

export const timerlat: ProbeModule<TimerlatOptions> = {
  name: 'timerlat',
  help: 'How late a timer interrupt starts to run, and how late the real-time thread that the interrupt wakes.',
  byDefault: false,
  choosesForKind: 'chooses the CPUs',
  rate: 'low',
  inRecordings: { cpus: 0 },
  schema: ({ cpuList, duration, probeSchema }) =>
    probeSchema(
      { enabled: false, per_cpu: true, max_series: 500, buckets: decimalBuckets(1e-6, 0.1) },
      {
        cpus: cpuList().optional(),
        // The kernel's timerlat_min_period and timerlat_max_period.
        period: duration({ min: 100 * US, max: S }).prefault('1ms'),
        stop_irq: duration({ min: US, max: S }).optional(),
        stop_thread: duration({ min: US, max: S }).optional(),
      },
    ).check(mustNameCpus('a timer interrupt and a thread of priority FIFO 95 every `period` (1ms)')),
  tracer: (options) => ({
    tracer: 'timerlat',
    where: 'instance',
    reads: 'events',
    options: {},
    knobs: [
      cpuListKnob('osnoise/cpus', options.cpus),
      microsecondsKnob('osnoise/timerlat_period_us', options.period),
      stop('osnoise/stop_tracing_us', options.stop_irq),
      stop('osnoise/stop_tracing_total_us', options.stop_thread),
    ],
  }),
  needs: (_options, _kernel, _host, intervals) =>
    intervals?.timerlat === undefined
      ? [{ event: SAMPLE, fields: ['context', 'timer_latency'] }]
      : [{ event: SAMPLE, fields: ['context', 'timer_latency', 'seqnum', 'common_pid'] }, ...noiseNeeds()],
  create: createTimerlat,
  metrics: [{ ...LATENCY, labels: [...LATENCY.labels, 'cpu'] }, MAX],
};

/** The kernel stops tracing when a latency exceeds `ns`. 0 (never stop) replaces a limit that another program set. */
function stop(file: string, ns: number | undefined): Knob {
  return microsecondsKnob(file, ns ?? 0);
}

function createTimerlat(context: ProbeContext, options: TimerlatOptions): Probe {
  const machine = onCpus(context, options.cpus ?? []);
  const latency = declareDurations(machine, LATENCY, options, (row) => [CONTEXTS[row]]);
  const max = declareCpuMaxima(context, MAX, (row) => [CONTEXTS[row]]);
  // The context `user` exists only while a program waits on `timerlat_fd`.
  for (const row of [IRQ, THREAD]) latency.show(row);
  const contextOf = context.int(SAMPLE, 'context');
  const latencyOf = context.int(SAMPLE, 'timer_latency');
  const sink = context.intervals.timerlat;
  const report = sink && reporter(context, sink);
  return {
    handlers: {
      [SAMPLE]: (record) => {
        const number = contextOf(record);
        const row = number >= 0 && number < OTHER ? number : OTHER;
        const ns = latencyOf(record);
        latency.record(row, record.cpu, ns);
        max(row, record.cpu, ns);
        report?.(record, row, ns);
      },
      ...(sink && Object.fromEntries(noiseHandlers(context, sink))),
    },
    onLoss: sink?.lost,
  };
}

/** Reports expiries of the timer. The `irq` and `thread` records of an expiry have the same `seqnum`. */
function reporter(context: ProbeContext, sink: TimerlatSink) {
  const { thresholdNs } = sink;
  const sequenceOf = context.int(SAMPLE, 'seqnum');
  const pidOf = context.int(SAMPLE, 'common_pid');
  const irqSequence = new Float64Array(context.cpuCount).fill(-1);
  const irqNs = new Float64Array(context.cpuCount);
  return (record: EventRecord, row: number, ns: number): void => {
    const { cpu } = record;
    if (cpu >= irqNs.length) return;
    if (row === IRQ) {
      irqSequence[cpu] = sequenceOf(record);
      irqNs[cpu] = ns;
    }
    if (row !== THREAD || ns < thresholdNs) return;
    const irq = irqSequence[cpu] === sequenceOf(record) ? irqNs[cpu] : Number.NaN;
    sink.activated(cpu, record.timestampNs, irq, ns, pidOf(record));
  };
}
