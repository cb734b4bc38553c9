/** Declares the family of a declared metric and adds to it: events, amounts in units, or time. */
import type { DeclaredMetric, Unit } from '../../model/declared-metric.ts';
import type { CommonOptions, ProbeContext } from '../probe.ts';
import { SlotCache } from '../tables/slot-cache.ts';

/** How numbers from a field are converted for recording and for export. */
interface Scale {
  /** Number of recorded units in one unit of the field. */
  factor: number;
  /** Number of recorded units in one exported unit. */
  divisor: number;
  /** Name of the exported unit. */
  unit: string;
}

const COUNTED: Scale = { factor: 1, divisor: 1, unit: '' };
const NANOSECONDS: Scale = { factor: 1, divisor: 1e9, unit: 'seconds' };
const FACTORS: Partial<Record<Unit, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** Throws an `Error` if it needs the length of a jiffy and that is unknown. */
export function scaleOf(unit: Unit, host: Pick<ProbeContext['host'], 'jiffyNs'>): Scale {
  if (unit === 'none' || unit === 'pages') return COUNTED;
  if (unit === 'bytes') return { ...COUNTED, unit: 'bytes' };
  const factor = unit === 'jiffies' ? host.jiffyNs() : FACTORS[unit];
  if (factor === undefined) throw new Error('the length of a jiffy is unknown on this machine');
  return { ...NANOSECONDS, factor };
}

/** Adds an amount to the series of a row. */
export interface Amounts {
  record(row: number, cpu: number, amount: number): void;
  /** Creates the series of a row. If there is one series per CPU, creates them for all online CPUs. */
  show(row: number): void;
  /** Called when a value gets no series because the limit is reached. */
  onRefused(): void;
  factor: number;
}

/** Declares the family of a metric. `values` returns the label values of a row. */
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
