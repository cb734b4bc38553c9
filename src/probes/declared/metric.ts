/**
 * Makes the handlers of a declared metric. Whatever depends on event formats is prepared once, to keep handlers fast.
 */
import { intReader } from '../../decode/fields.ts';
import { type DeclaredMetric, type EventChoice, type Measure, TASK } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { EventRecord, IntReader } from '../../model/record.ts';
import { IN_INTERRUPT } from '../names/trace-flags.ts';
import type { CommonOptions, ProbeContext } from '../probe.ts';
import { type Amounts, declareAmounts } from './amounts.ts';
import { compileFilter, type RecordFilter } from './filter.ts';
import { runInKernel } from './in-kernel.ts';
import { type LabelRows, makeLabelRows, pairRows } from './labels.ts';
import { reportOf } from './operations.ts';
import { type RunningMetric, runPair } from './pair.ts';

const ALL: RecordFilter = () => true;

/** Throws an `Error` if an event or a field does not exist, or if a field has the wrong type for the metric. */
export function runMetric(
  context: ProbeContext,
  metric: DeclaredMetric,
  options: CommonOptions,
): RunningMetric {
  const { start, event, labels } = metric;
  let amounts: Amounts | undefined;
  const facts = { context, onRefused: () => amounts?.onRefused() };
  const end = formatOf(context, event);
  const ofEnd = makeLabelRows(
    labels.filter((label) => label.of === 'end'),
    end,
    facts,
  );
  const isEnd = labels.map((label) => label.of === 'end');
  if (start === undefined) {
    amounts = declareAmounts(context, metric, options, ofEnd.values);
    showFromStart(metric, amounts);
    if (metric.isInKernel && context.countInKernel !== undefined)
      return runInKernel(context, metric, options, end, ofEnd, amounts);
    return runSingle(context, metric, end, ofEnd, amounts);
  }
  const startFormat = formatOf(context, start);
  const ofStart = makeLabelRows(
    labels.filter((label) => label.of === 'start'),
    startFormat,
    facts,
  );
  const both = pairRows(ofStart, ofEnd, facts);
  const hasBoth = isEnd.includes(true) && isEnd.includes(false);
  const valuesOf = hasBoth ? both.values : isEnd.includes(true) ? ofEnd.values : ofStart.values;
  const ordered = (row: number) => inOrder(valuesOf(row), isEnd);
  amounts = declareAmounts(context, metric, options, ordered);
  showFromStart(metric, amounts);
  const running = runPair(context, metric, {
    start: { format: startFormat, filter: filterOf(start, startFormat), row: ofStart.read },
    end: { format: end, filter: filterOf(event, end), row: ofEnd.read },
    rowOf: hasBoth ? both.row : isEnd.includes(true) ? (_start, last) => last : (first) => first,
    amounts,
    report: reportOf(context, metric, end, ordered),
  });
  return {
    ...running,
    refresh: () => {
      ofStart.refresh();
      ofEnd.refresh();
    },
  };
}

/** Puts `values` in the order of the labels. In `values`, the values from the start event come first. */
function inOrder(values: readonly string[], isEnd: readonly boolean[]): string[] {
  let first = 0;
  let last = isEnd.filter((is) => !is).length;
  return isEnd.map((is) => values[is ? last++ : first++]);
}

function formatOf(context: ProbeContext, { event }: EventChoice): EventFormat {
  const format = context.format(event);
  if (format === undefined) throw new Error(`event ${event} does not exist`);
  return format;
}

export function filterOf({ where }: EventChoice, format: EventFormat): RecordFilter | undefined {
  return where === undefined ? undefined : compileFilter(where, format);
}

/** Creates a series without open labels with value 0, so that the first event shows as an increase. */
function showFromStart({ labels, kind }: DeclaredMetric, amounts: Amounts): void {
  if (kind !== 'max' && labels.every(({ constant }) => constant !== undefined)) amounts.show(0);
}

function amountReader(measure: Measure | undefined, format: EventFormat): IntReader {
  if (measure === undefined) return () => 1;
  const value = intReader(format, measure.field);
  if (measure.minus === undefined) return value;
  const less = intReader(format, measure.minus);
  return (record) => value(record) - less(record);
}

function runSingle(
  context: ProbeContext,
  metric: DeclaredMetric,
  format: EventFormat,
  rows: LabelRows,
  amounts: Amounts,
): RunningMetric {
  const { isSelf, ignoreSelf } = context;
  const { factor } = amounts;
  const { isNobodys } = metric;
  const report = reportOf(context, metric, format, rows.values);
  const passes = filterOf(metric.event, format) ?? ALL;
  const amountOf = amountReader(metric.measure, format);
  const pidOf = intReader(format, TASK);
  const flagsOf = intReader(format, 'common_flags');
  const handler = (record: EventRecord): void => {
    if (!passes(record)) return;
    if (!isNobodys && isSelf(pidOf(record)) && (flagsOf(record) & IN_INTERRUPT) === 0) ignoreSelf();
    else {
      const row = rows.read(record);
      const amount = amountOf(record) * factor;
      amounts.record(row, record.cpu, amount, amounts.containerOf(record));
      report?.(row, record, amount);
    }
  };
  return { handlers: [[metric.event.event, handler]], refresh: rows.refresh };
}
