/**
 * What all probes declare their families from: data about a metric in, families and slot tables of the metric store
 * out. Labels that are closed (CPUs, kinds) start exported at 0; open ones when first seen.
 */
import type { HistogramFamily } from '../metrics/histogram.ts';
import type { MaxGaugeFamily } from '../metrics/max-gauge.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { ValueFamily } from '../metrics/value.ts';
import type { CommonOptions } from './probe.ts';
import { SlotCache } from './tables/slot-cache.ts';

export interface MetricFacts {
  name: string;
  help: string;
  /** `per_cpu` adds `cpu` behind them on histograms. */
  labels: readonly string[];
  /** Those whose values the kernel or the user invents. */
  open?: readonly string[];
}

/** The part of a probe's context that families are made from. */
export interface Machine {
  metrics: MetricStore;
  cpuCount: number;
  /** CPUs whose series exist from the start. */
  onlineCpus: readonly number[];
}

/** For what runs on some CPUs only: series of the others exist when there is something in them. */
export function onCpus(machine: Machine, cpus: readonly number[]): Machine {
  const { metrics, cpuCount, onlineCpus } = machine;
  return { metrics, cpuCount, onlineCpus: onlineCpus.filter((cpu) => cpus.includes(cpu)) };
}

/** A histogram of durations, and its slots. */
export interface Durations {
  family: HistogramFamily;
  /** Row: as `labels` counts them. CPU: that of the record; without `per_cpu` it makes no difference. */
  record(row: number, cpu: number, ns: number): void;
  /** Makes the series of a row exist, for all CPUs that are online where they have one each. */
  show(row: number): void;
  forget(row: number): void;
}

/** Declares a histogram; `labels` gives the values of a row's labels, without `cpu`. */
export function declareDurations(
  machine: Machine,
  facts: MetricFacts,
  options: CommonOptions,
  labels: (row: number) => readonly string[],
): Durations {
  const perCpu = options.per_cpu;
  const family = machine.metrics.histogram({
    name: facts.name,
    help: facts.help,
    labels: perCpu ? [...facts.labels, 'cpu'] : facts.labels,
    open: facts.open ?? [],
    maxSeries: options.max_series,
    bounds: options.buckets,
  });
  const slots = new SlotCache(perCpu ? machine.cpuCount : 1, (row, cpu) =>
    family.slot(perCpu ? [...labels(row), String(cpu)] : labels(row)),
  );
  const shown = perCpu ? machine.onlineCpus : [0];
  return {
    family,
    record: perCpu
      ? (row, cpu, ns) => family.record(slots.at(row, cpu), ns)
      : (row, _cpu, ns) => family.record(slots.at(row, 0), ns),
    show: (row) => {
      for (const cpu of shown) slots.at(row, cpu);
    },
    forget: (row) => slots.forget(row),
  };
}

/** A counter with the label `cpu` (first), and its slots. */
export interface CpuCounts {
  family: ValueFamily;
  add(row: number, cpu: number, amount: number): void;
}

/**
 * Declares a counter by CPU whose further labels `rest` gives by row; the first `rowsShown` rows start at 0 for the
 * CPUs that are online. Options: `divisor` and `unit` as in MetricSpec.
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
  const family = machine.metrics.counter({
    name: facts.name,
    help: facts.help,
    labels: facts.labels,
    unit: shape.unit ?? '',
    divisor: shape.divisor ?? 1,
  });
  const rest = shape.rest ?? (() => []);
  const slots = new SlotCache(machine.cpuCount, (row, cpu) => family.slot([String(cpu), ...rest(row)]));
  for (let row = 0; row < (shape.rowsShown ?? 1); row++) {
    for (const cpu of machine.onlineCpus) slots.at(row, cpu);
  }
  return { family, add: (row, cpu, amount) => family.add(slots.at(row, cpu), amount) };
}

/** Declares a gauge of the largest duration within the window; recorded in nanoseconds. */
export function declareMaxima(
  machine: { metrics: MetricStore; maxWindowMs: number },
  facts: MetricFacts,
): MaxGaugeFamily {
  return machine.metrics.maxGauge({
    name: facts.name,
    help: facts.help,
    labels: facts.labels,
    unit: 'seconds',
    divisor: 1e9,
    windowMs: machine.maxWindowMs,
  });
}

/** The same by CPU (first label); `rest` gives a row's further labels. */
export function declareCpuMaxima(
  machine: { metrics: MetricStore; cpuCount: number; maxWindowMs: number },
  facts: MetricFacts,
  rest: (row: number) => readonly string[] = () => [],
): (row: number, cpu: number, ns: number) => void {
  const family = declareMaxima(machine, facts);
  const slots = new SlotCache(machine.cpuCount, (row, cpu) => family.slot([String(cpu), ...rest(row)]));
  return (row, cpu, ns) => family.record(slots.at(row, cpu), ns);
}
