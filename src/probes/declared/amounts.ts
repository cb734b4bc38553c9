/**
 * Declares the family of a declared metric (src/model/declared-metric.ts) and records values in its series. A row is
 * the number of a combination of label values.
 */
import type { Family } from '../../metrics/family.ts';
import { KERNEL, UNKNOWN } from '../../model/containers.ts';
import { type DeclaredMetric, TASK, taskFieldOf, type Unit } from '../../model/declared-metric.ts';
import type { EventRecord } from '../../model/record.ts';
import { IN_INTERRUPT } from '../names/trace-flags.ts';
import type { CommonOptions, ProbeContext } from '../probe.ts';
import { type SeriesRows, type Split, splitOf } from '../split.ts';

/** Conversion from the field to the recorded number, and from there to the exported number. */
interface Scale {
  /** Recorded units per unit of the field. */
  factor: number;
  /** Recorded units per exported unit. */
  divisor: number;
  unit: string;
}

const COUNTED: Scale = { factor: 1, divisor: 1, unit: '' };
const NANOSECONDS: Scale = { factor: 1, divisor: 1e9, unit: 'seconds' };
const FACTORS: Partial<Record<Unit, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** Returns the scale of a unit. Throws an `Error` for jiffies if the length of a jiffy is unknown. */
export function scaleOf(unit: Unit, host: Pick<ProbeContext['host'], 'jiffyNs'>): Scale {
  if (unit === 'none' || unit === 'pages') return COUNTED;
  if (unit === 'bytes') return { ...COUNTED, unit: 'bytes' };
  const factor = unit === 'jiffies' ? host.jiffyNs() : FACTORS[unit];
  if (factor === undefined) throw new Error('the length of a jiffy is unknown on this machine');
  return { ...NANOSECONDS, factor };
}

/** The series of a declared metric, by row. */
export interface Amounts extends SeriesRows {
  /** Counts a value that gets no series because of a limit. */
  onRefused(): void;
  factor: number;
  /** Returns the slot (number) of the container of the record's task; `UNKNOWN` if the series are not by container. */
  containerOf(record: EventRecord): number;
}

/** Returns the names of the labels without a constant value. */
export function openLabels({ labels }: DeclaredMetric): string[] {
  return labels.filter(({ constant }) => constant === undefined).map(({ name }) => name);
}

/** Declares the family of a metric. `values` returns the label values of a row. */
export function declareAmounts(
  context: ProbeContext,
  metric: DeclaredMetric,
  options: CommonOptions,
  values: (row: number) => readonly string[],
): Amounts {
  const { metrics, maxWindowMs, host } = context;
  const { kind, measure, start } = metric;
  const isTasks = taskFieldOf(metric) !== undefined;
  const split = splitOf(context, isTasks ? options : { ...options, per_container: false });
  const scale = measure ? scaleOf(measure.unit, host) : start ? NANOSECONDS : COUNTED;
  const names = metric.labels.map(({ name }) => name);
  const facts = {
    name: metric.name,
    help: metric.help,
    labels: [...names, ...split.labels],
    open: [...openLabels(metric), ...split.open],
    maxSeries: options.max_series,
    unit: scale.unit,
    divisor: scale.divisor,
    ownTime: start === undefined,
  };
  const amountsOf = (family: Family, add: (slot: number, amount: number) => void): Amounts => ({
    ...split.rows(family, add, values),
    onRefused: () => {
      family.table.overflows++;
    },
    factor: scale.factor,
    containerOf: containerReader(context, metric, split),
  });
  if (kind === 'histogram') {
    const family = metrics.histogram({ ...facts, bounds: options.buckets });
    return amountsOf(family, family.record);
  }
  if (kind === 'max') {
    const family = metrics.maxGauge({ ...facts, windowMs: maxWindowMs });
    return amountsOf(family, (slot, amount) => family.record(slot, amount));
  }
  const family = metrics.counter(facts);
  return amountsOf(family, (slot, amount) => family.add(slot, amount));
}

/** Returns a function that finds the container of a record's task. Of a pair, callers must pass the end event. */
function containerReader(
  context: ProbeContext,
  metric: DeclaredMetric,
  { containers, containerOf }: Split,
): Amounts['containerOf'] {
  const { event } = metric.event;
  const field = taskFieldOf(metric);
  if (containers === undefined || field === undefined || context.format(event) === undefined)
    return () => UNKNOWN;
  const taskOf = context.int(event, field);
  if (field !== TASK) return (record) => containerOf(taskOf(record));
  const flagsOf = context.int(event, 'common_flags');
  // In an interrupt, `common_pid` is the interrupted task, which did not cause the event.
  return (record) => ((flagsOf(record) & IN_INTERRUPT) === 0 ? containerOf(taskOf(record)) : KERNEL);
}
