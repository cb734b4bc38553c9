/** The family of a declared metric, and what it counts: events, amounts in units, or time. */
import type { DeclaredMetric, Unit } from '../../model/declared-metric.ts';
import type { CommonOptions, ProbeContext } from '../probe.ts';
import { SlotCache } from '../tables/slot-cache.ts';

/** How the numbers of a field are recorded and shown. */
interface Scale {
  /** Recorded units in one unit of the field. */
  factor: number;
  /** Recorded units in one shown unit. */
  divisor: number;
  /** Name of the unit in expositions. */
  unit: string;
}

const COUNTED: Scale = { factor: 1, divisor: 1, unit: '' };
const NANOSECONDS: Scale = { factor: 1, divisor: 1e9, unit: 'seconds' };
const FACTORS: Partial<Record<Unit, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** Throws an `Error` if the length of a jiffy is needed and not known. */
export function scaleOf(unit: Unit, host: Pick<ProbeContext['host'], 'jiffyNs'>): Scale {
  if (unit === 'none' || unit === 'pages') return COUNTED;
  if (unit === 'bytes') return { ...COUNTED, unit: 'bytes' };
  const factor = unit === 'jiffies' ? host.jiffyNs() : FACTORS[unit];
  if (factor === undefined) throw new Error('the length of a jiffy is not known here');
  return { ...NANOSECONDS, factor };
}

/** Adds an amount to the series of a row. */
export interface Amounts {
  record(row: number, cpu: number, amount: number): void;
  /** Makes the series of a row exist, for all CPUs that are online if they have one each. */
  show(row: number): void;
  /** Called for a value that gets no series of its own. */
  onRefused(): void;
  factor: number;
}

/** Declares the family of a metric; `values` gives the values of a row's labels. */
export function declareAmounts(
  context: ProbeContext,
  metric: DeclaredMetric,
  options: CommonOptions,
  values: (row: number) => readonly string[],
): Amounts {
  const { metrics, cpuCount, onlineCpus, maxWindowMs, host } = context;
  const { kind, measure, start } = metric;
  const perCpu = options.per_cpu;
  const scale = measure ? scaleOf(measure.unit, host) : start ? NANOSECONDS : COUNTED;
  const names = metric.labels.map(({ name }) => name);
  const facts = {
    name: metric.name,
    help: metric.help,
    labels: perCpu ? [...names, 'cpu'] : names,
    open: metric.labels.filter(({ constant }) => constant === undefined).map(({ name }) => name),
    maxSeries: options.max_series,
    unit: scale.unit,
    divisor: scale.divisor,
    ownTime: start === undefined,
  };
  const valuesOf = (row: number, cpu: number) => (perCpu ? [...values(row), String(cpu)] : values(row));
  const slotsOf = (family: { slot(values: readonly string[]): number }) =>
    new SlotCache(perCpu ? cpuCount : 1, (row, cpu) => family.slot(valuesOf(row, cpu)));
  const amountsOf = <F extends { slot(values: readonly string[]): number; table: { overflows: number } }>(
    family: F,
    recorder: (slots: SlotCache) => Amounts['record'],
  ): Amounts => {
    const slots = slotsOf(family);
    return {
      record: recorder(slots),
      show: (row) => {
        for (const cpu of perCpu ? onlineCpus : [0]) slots.at(row, cpu);
      },
      onRefused: () => {
        family.table.overflows++;
      },
      factor: scale.factor,
    };
  };
  if (kind === 'histogram') {
    const family = metrics.histogram({ ...facts, bounds: options.buckets });
    return amountsOf(family, (slots) =>
      perCpu
        ? (row, cpu, amount) => family.record(slots.at(row, cpu), amount)
        : (row, _cpu, amount) => family.record(slots.at(row, 0), amount),
    );
  }
  if (kind === 'max') {
    const family = metrics.maxGauge({ ...facts, windowMs: maxWindowMs });
    return amountsOf(
      family,
      (slots) => (row, cpu, amount) => family.record(slots.at(row, perCpu ? cpu : 0), amount),
    );
  }
  const family = metrics.counter(facts);
  return amountsOf(
    family,
    (slots) => (row, cpu, amount) => family.add(slots.at(row, perCpu ? cpu : 0), amount),
  );
}
