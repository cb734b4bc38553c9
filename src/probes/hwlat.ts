/**
 * How long does the hardware take a CPU away from the kernel? The hwlat tracer (kernel/trace/trace_hwlat.c) turns
 * interrupts off for `width` once per `window`, and reads the clock twice per pass of a loop. A record contains the
 * longest gap within a pass (inner) and between two passes (outer), in microseconds.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { formatDuration } from '../config/units/quantity.ts';
import { declareDurations, onCpus } from './families.ts';
import { type CpuOptions, microsecondsKnob, mustNameCpus } from './options/cpu-choice.ts';
import { thresholdClash } from './options/threshold.ts';
import type { Conflict, Probe, ProbeContext, ProbeModule } from './probe.ts';

const SAMPLE = 'ftrace:hwlat';
const LOOPS = ['inner', 'outer'];

const LATENCY = {
  name: 'ftrace_hwlat_latency_seconds',
  help: 'Longest gap in one measurement window of the hwlat tracer: between the two clock reads of a pass ("inner") or between two passes ("outer"). A window counts only if it has a gap above the threshold.',
  labels: ['loop'],
  ownTime: true,
};

const US = 1e3;
const S = 1e9;

export interface HwlatOptions extends CpuOptions {
  width: number;
  window: number;
  threshold: number;
}

export const hwlat: ProbeModule<HwlatOptions> = {
  name: 'hwlat',
  help: 'How long the hardware (system management interrupts) takes a CPU away from the kernel.',
  byDefault: false,
  rate: 'low',
  inRecordings: { cpus: 0 },
  schema: ({ cpuList, duration, probeSchema }) =>
    probeSchema(
      { enabled: false, per_cpu: true, max_series: 500, buckets: decimalBuckets(1e-6, 0.1) },
      {
        cpus: cpuList().optional(),
        width: duration({ min: 10 * US, max: 60 * S }).prefault('10ms'),
        window: duration({ min: 100 * US, max: 3600 * S }).prefault('1s'),
        threshold: duration({ min: US, max: S }).prefault('10us'),
      },
    )
      .check(mustNameCpus('interrupts are off there for `width` (10ms) of every `window` (1s)'))
      .refine((options) => options.width < options.window, {
        path: ['width'],
        message: 'must be shorter than `window`',
      }),
  tracer: (options) => ({
    tracer: 'hwlat',
    where: 'instance',
    reads: 'events',
    options: {},
    knobs: [
      // By default, a single thread moves between the CPUs, and in kernel 7.3 it can run on CPUs that the config does
      // not name. Kernels before 5.14 lack this file, but use only the named CPUs.
      { file: 'hwlat_detector/mode', value: 'per-cpu', optional: true },
      microsecondsKnob('hwlat_detector/width', options.width),
      microsecondsKnob('hwlat_detector/window', options.window),
      microsecondsKnob('tracing_thresh', options.threshold),
    ],
    cpumask: options.cpus,
  }),
  needs: () => [{ event: SAMPLE, fields: ['duration', 'outer_duration'] }],
  conflict: (options, others) => thresholdClash(others) ?? osnoiseClash(options, others.get('osnoise')),
  create: createHwlat,
  metrics: [{ ...LATENCY, labels: [...LATENCY.labels, 'cpu'] }],
};

/** Both tracers use `tracing_thresh`, so osnoise must have the same threshold. */
function osnoiseClash({ threshold }: HwlatOptions, osnoise: unknown): Conflict | undefined {
  if (osnoise === undefined) return undefined;
  const other = (osnoise as { threshold?: number }).threshold;
  if (other === threshold) return undefined;
  return {
    with: 'osnoise',
    why:
      `both use tracing_thresh, which exists only once in the kernel, but hwlat sets ${formatDuration(threshold)} and osnoise ` +
      `${other === undefined ? 'none' : formatDuration(other)}: give both the same threshold`,
  };
}

function createHwlat(context: ProbeContext, options: HwlatOptions): Probe {
  const machine = onCpus(context, options.cpus ?? []);
  const latency = declareDurations(machine, LATENCY, options, (row) => [LOOPS[row]]);
  for (let row = 0; row < LOOPS.length; row++) latency.show(row);
  const innerOf = context.int(SAMPLE, 'duration');
  const outerOf = context.int(SAMPLE, 'outer_duration');
  return {
    handlers: {
      [SAMPLE]: (record) => {
        latency.record(0, record.cpu, innerOf(record) * US);
        latency.record(1, record.cpu, outerOf(record) * US);
      },
    },
  };
}
