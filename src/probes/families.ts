/**
 * Declares a probe's metric families. A slot is the number of a series in its family. A row is the number of the thing
 * that a series describes, such as a syscall.
 */
import type { HistogramFamily } from '../metrics/histogram.ts';
import type { MaxGaugeFamily } from '../metrics/max-gauge.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { ValueFamily } from '../metrics/value.ts';
import type { MetricSpec } from '../model/metric.ts';
import type { CommonOptions } from './probe.ts';
import { type SeriesRows, type SplitMachine, splitOf } from './split.ts';
import { SlotCache } from './tables/slot-cache.ts';

/** As in `MetricSpec`. The options `per_cpu` and `per_container` append labels. */
export type MetricFacts = Pick<MetricSpec, 'name' | 'help' | 'labels' | 'ownTime'> & {
  open?: readonly string[];
};

export type Machine = SplitMachine;

/** Returns a copy with only those online CPUs that `cpus` contains. */
export function onCpus(machine: Machine, cpus: readonly number[]): Machine {
  const { metrics, cpuCount, onlineCpus } = machine;
  return { metrics, cpuCount, onlineCpus: onlineCpus.filter((cpu) => cpus.includes(cpu)) };
}

export interface Durations extends SeriesRows {
  family: HistogramFamily;
}

/** Declares a histogram of nanoseconds. `labels` returns a row's label values, without the CPU and the container. */
export function declareDurations(
  machine: Machine,
  facts: MetricFacts,
  options: CommonOptions,
  labels: (row: number) => readonly string[],
): Durations {
  const split = splitOf(machine, options);
  const family = machine.metrics.histogram({
    ...{ ...facts, maxSeries: options.max_series, bounds: options.buckets },
    labels: [...facts.labels, ...split.labels],
    open: [...(facts.open ?? []), ...split.open],
  });
  return { family, ...split.rows(family, family.record, labels) };
}

/** Declares a counter about tasks, which never has the label `cpu`. `labels` is as in `declareDurations`. */
export function declareTaskCounts(
  machine: Machine,
  facts: MetricFacts,
  options: CommonOptions,
  labels: (row: number) => readonly string[],
  scale: { unit?: string; divisor?: number } = {},
): SeriesRows & { family: ValueFamily } {
  const split = splitOf(machine, { ...options, per_cpu: false });
  const family = machine.metrics.counter({
    ...{ ...facts, ...scale, maxSeries: options.max_series },
    labels: [...facts.labels, ...split.labels],
    open: [...(facts.open ?? []), ...split.open],
  });
  return { family, ...split.rows(family, (slot, amount) => family.add(slot, amount), labels) };
}

export interface CpuCounts {
  family: ValueFamily;
  add(row: number, cpu: number, amount: number): void;
}

/**
 * Declares a counter whose first label is `cpu`. `rest` returns the other label values of a row. The first `rowsShown`
 * rows start at 0 on all online CPUs.
 */
export function declareCpuCounts(
  machine: Machine,
  facts: MetricFacts,
  shape: {
    unit?: string;
    divisor?: number;
    rowsShown?: number;
    rest?: (row: number) => readonly string[];
  } = {},
): CpuCounts {
  const { rest = () => [], rowsShown = 1, ...scale } = shape;
  const family = machine.metrics.counter({ ...facts, ...scale });
  const slots = new SlotCache(machine.cpuCount, (row, cpu) => family.slot([String(cpu), ...rest(row)]));
  for (let row = 0; row < rowsShown; row++) {
    for (const cpu of machine.onlineCpus) slots.at(row, cpu);
  }
  return { family, add: (row, cpu, amount) => family.add(slots.at(row, cpu), amount) };
}

/** V8 treats the address of a typed array as a constant only if the array has more than 64 bytes. */
const FEWEST_SUMS = 16;

/**
 * Declares a counter like `declareCpuCounts`, for the most frequent events. The probe adds to the returned array, at
 * `cpu * rows + row`, because a series look-up per event would cost too much. `rows` is `rowsShown`, at least 1.
 */
export function declareCpuSums(
  machine: Machine,
  facts: MetricFacts,
  shape: NonNullable<Parameters<typeof declareCpuCounts>[2]> = {},
): Float64Array {
  const counts = declareCpuCounts(machine, facts, shape);
  const rows = Math.max(1, shape.rowsShown ?? 1);
  const sums = new Float64Array(Math.max(machine.cpuCount * rows, FEWEST_SUMS));
  machine.metrics.onSnapshot(() => {
    for (let at = 0; at < sums.length; at++) {
      if (sums[at] === 0) continue;
      counts.add(at % rows, Math.floor(at / rows), sums[at]);
      sums[at] = 0;
    }
  });
  return sums;
}

/** Declares a gauge of the longest duration (ns) within the last `maxWindowMs` milliseconds. */
export function declareMaxima(
  machine: { metrics: MetricStore; maxWindowMs: number },
  facts: MetricFacts,
): MaxGaugeFamily {
  return machine.metrics.maxGauge({ ...facts, unit: 'seconds', divisor: 1e9, windowMs: machine.maxWindowMs });
}

/**
 * Declares a gauge like `declareMaxima`, with `cpu` as the first label. `rest` returns the other label values of a row.
 */
export function declareCpuMaxima(
  machine: { metrics: MetricStore; cpuCount: number; maxWindowMs: number },
  facts: MetricFacts,
  rest: (row: number) => readonly string[] = () => [],
): (row: number, cpu: number, ns: number) => void {
  const family = declareMaxima(machine, facts);
  const slots = new SlotCache(machine.cpuCount, (row, cpu) => family.slot([String(cpu), ...rest(row)]));
  return (row, cpu, ns) => family.record(slots.at(row, cpu), ns);
}
