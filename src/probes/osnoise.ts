/**
 * How much time do the kernel, interrupts and other tasks take from an isolated CPU? The osnoise tracer
 * (kernel/trace/trace_osnoise.c) reads the clock in a loop. Each gap between two readings is noise, and events name its
 * causes. If no event does, the hardware or the hypervisor caused the gap.
 *
 * Times are in microseconds in the records, and in nanoseconds in the events.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { NOISE_SOURCES } from '../model/intervals.ts';
import type { EventHandler } from '../model/record.ts';
import { declareCpuCounts, declareCpuMaxima, declareDurations, onCpus } from './families.ts';
import { GAP, noiseEvent, noiseHandler, noiseHandlers, noiseNeeds } from './noise.ts';
import { type CpuOptions, cpuListKnob, microsecondsKnob, mustNameCpus } from './options/cpu-choice.ts';
import { thresholdClash } from './options/threshold.ts';
import type { EventNeed, Probe, ProbeContext, ProbeModule } from './probe.ts';

const SAMPLE = 'ftrace:osnoise';
/** Each source except the first (`hw`) has its own event. */
const SOURCES = NOISE_SOURCES;
const HW = 0;

const RUNTIME = {
  name: 'ftrace_osnoise_runtime_seconds_total',
  help: 'Time during which the osnoise tracer measured a CPU.',
  labels: ['cpu'],
  ownTime: true,
};
const NOISE = {
  name: 'ftrace_osnoise_noise_seconds_total',
  help: 'Time that a CPU spent on something other than the osnoise thread while the tracer measured the CPU.',
  labels: ['cpu'],
  ownTime: true,
};
const MAX = {
  name: 'ftrace_osnoise_max_single_noise_seconds',
  help: 'Longest single interruption of the osnoise thread on a CPU, within the last max_window (set in the config).',
  labels: ['cpu'],
  ownTime: true,
};
const INTERFERENCE = {
  name: 'ftrace_osnoise_interference_seconds',
  help: 'Duration of one interruption of the osnoise thread, by source. "hw" is a gap without a known cause. For all other sources, the time of nested interruptions is not included.',
  labels: ['source'],
  ownTime: true,
};

const US = 1e3;
const MS = 1e6;
const S = 1e9;

export interface OsnoiseOptions extends CpuOptions {
  period: number;
  runtime: number;
  threshold?: number | undefined;
}

export const osnoise: ProbeModule<OsnoiseOptions> = {
  name: 'osnoise',
  help: 'How much time the kernel, interrupts and other tasks take from a CPU, by source.',
  byDefault: false,
  choosesForKind: 'chooses the CPUs',
  rate: 'high',
  inRecordings: { cpus: 0 },
  schema: ({ cpuList, duration, probeSchema }) =>
    probeSchema(
      { enabled: false, per_cpu: true, max_series: 500, buckets: decimalBuckets(1e-6, 0.1) },
      {
        cpus: cpuList().optional(),
        period: duration({ min: MS, max: 3600 * S }).prefault('1s'),
        runtime: duration({ min: 100 * US, max: 3600 * S }).prefault('100ms'),
        threshold: duration({ min: US, max: S }).optional(),
      },
    )
      .check(mustNameCpus('a thread spins there for `runtime` (100ms) of every `period` (1s)'))
      .refine((options) => options.runtime <= options.period, {
        path: ['runtime'],
        message: 'must not be longer than `period`',
      }),
  tracer: (options) => ({
    tracer: 'osnoise',
    where: 'instance',
    reads: 'events',
    options: {},
    knobs: [
      cpuListKnob('osnoise/cpus', options.cpus),
      microsecondsKnob('osnoise/runtime_us', options.runtime),
      microsecondsKnob('osnoise/period_us', options.period),
      // 0: never stop tracing. Another program may have set a limit.
      microsecondsKnob('osnoise/stop_tracing_us', 0),
      microsecondsKnob('osnoise/stop_tracing_total_us', 0),
      ...(options.threshold === undefined ? [] : [microsecondsKnob('tracing_thresh', options.threshold)]),
    ],
  }),
  needs: (_options, _kernel, _host, intervals) => {
    const sendsIntervals = intervals?.osnoise !== undefined;
    const bySource = SOURCES.slice(1).map(
      (source): EventNeed => ({
        event: noiseEvent(source),
        fields: ['duration'],
        without: `interference of source="${source}" is not measured`,
      }),
    );
    return [
      { event: SAMPLE, fields: ['noise', 'runtime', 'max_sample'] },
      {
        event: GAP,
        fields: ['duration', 'interference', ...(sendsIntervals ? ['start'] : [])],
        without: 'interference of source="hw" is not measured',
      },
      ...(sendsIntervals ? noiseNeeds() : bySource),
    ];
  },
  conflict: (options, others) => {
    if (others.has('timerlat')) {
      return {
        with: 'timerlat',
        why: 'the kernel implements both with the same code and runs only one of them at a time',
      };
    }
    return options.threshold === undefined ? undefined : thresholdClash(others);
  },
  create: createOsnoise,
  metrics: [RUNTIME, NOISE, MAX, { ...INTERFERENCE, labels: [...INTERFERENCE.labels, 'cpu'] }],
};

function createOsnoise(context: ProbeContext, options: OsnoiseOptions): Probe {
  const machine = onCpus(context, options.cpus ?? []);
  const time = { unit: 'seconds', divisor: 1e9 };
  const runtime = declareCpuCounts(machine, RUNTIME, time);
  const noise = declareCpuCounts(machine, NOISE, time);
  const max = declareCpuMaxima(context, MAX);
  const interference = declareDurations(machine, INTERFERENCE, options, (row) => [SOURCES[row]]);

  const runtimeOf = context.int(SAMPLE, 'runtime');
  const noiseOf = context.int(SAMPLE, 'noise');
  const maxOf = context.int(SAMPLE, 'max_sample');
  const sink = context.intervals.osnoise;
  const causeHandlers = sink && noiseHandlers(context, sink);
  const handlers: Record<string, EventHandler> = {
    [SAMPLE]: (record) => {
      const { cpu } = record;
      const runtimeNs = runtimeOf(record) * US;
      const noiseNs = noiseOf(record) * US;
      const longestNs = maxOf(record) * US;
      runtime.add(0, cpu, runtimeNs);
      noise.add(0, cpu, noiseNs);
      max(0, cpu, longestNs);
      sink?.period(cpu, record.timestampNs, runtimeNs, noiseNs, longestNs);
    },
  };
  if (context.format(GAP) !== undefined) {
    const durationOf = context.int(GAP, 'duration');
    const causesOf = context.int(GAP, 'interference');
    const report = sink && noiseHandler(context, sink, { source: 'hw', event: GAP });
    handlers[GAP] = (record) => {
      // The events of known causes already count the time.
      if (causesOf(record) !== 0) return;
      interference.record(HW, record.cpu, durationOf(record));
      report?.(record);
    };
    interference.show(HW);
  }
  SOURCES.forEach((source, row) => {
    const event = noiseEvent(source);
    if (context.format(event) === undefined) return;
    const durationOf = context.int(event, 'duration');
    const report = causeHandlers?.get(event);
    handlers[event] = (record) => {
      interference.record(row, record.cpu, durationOf(record));
      report?.(record);
    };
    interference.show(row);
  });
  return { handlers, onLoss: sink?.lost };
}
