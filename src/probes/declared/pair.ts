/** Makes the handlers of a metric that measures the time from a start event to an end event. */
import { intReader, wordOffset } from '../../decode/fields.ts';
import { type DeclaredMetric, TASK } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { EventHandler, EventRecord, IntReader } from '../../model/record.ts';
import type { Probe, ProbeContext } from '../probe.ts';
import type { Amounts } from './amounts.ts';
import type { RecordFilter } from './filter.ts';
import { isOnOneCpu, makeOpenStarts } from './open-starts.ts';
import type { OperationReport } from './operations.ts';

export interface RunningMetric {
  handlers: readonly (readonly [event: string, handler: EventHandler])[];
  onLoss?: NonNullable<Probe['onLoss']>;
  counted?: Probe['counted'];
  refresh(): void;
}

interface Side {
  format: EventFormat;
  filter: RecordFilter | undefined;
  row(record: EventRecord): number;
}

export interface PairParts {
  start: Side;
  end: Side;
  /** Returns the row of an operation, given the rows of the label values from its start event and its end event. */
  rowOf(startRow: number, endRow: number): number;
  amounts: Amounts;
  report: OperationReport | undefined;
}

export function runPair(
  context: ProbeContext,
  metric: DeclaredMetric,
  { start, end, rowOf, amounts, report }: PairParts,
): Omit<RunningMetric, 'refresh'> {
  const { isSelf, ignoreSelf, cpuCount } = context;
  const { key, nested, endsAlone, startsAgain } = metric;
  const [noStart, noEnd] = [context.unmatched('no_start'), context.unmatched('no_end')];
  const [lost, late] = [context.unmatched('lost'), context.unmatched('late')];
  const starts = makeOpenStarts({
    ...{
      key,
      nested,
      cpuCount,
      hasValues: metric.between !== undefined,
      start: start.format,
      end: end.format,
    },
    onEvicted: context.unmatched('evicted'),
  });
  const span = metric.between && spanOf(metric.between, start.format, end.format);
  const isFirst = nested === 'first';
  const onOneCpu = isOnOneCpu(key);
  /**
   * Operations that began before this time count as lost. If operations stay on one CPU, there is one element per CPU,
   * and one for all higher numbers. Otherwise, there is one element.
   */
  const lostUntil = new Float64Array(onOneCpu ? cpuCount + 1 : 1);
  const lossPlace = (cpu: number) => (onOneCpu ? Math.min(cpu, cpuCount) : 0);
  const pid = ownPid(metric, start.format, end.format);

  const onStart = (record: EventRecord): void => {
    if (start.filter !== undefined && !start.filter(record)) return;
    if (pid !== undefined && isSelf(record.words[(record.offset >> 2) + pid.start])) {
      ignoreSelf();
      return;
    }
    const place = starts.begin(record);
    if (place === 0) return;
    const { stamps, tags, values } = starts.columns;
    if (stamps[place] !== 0) {
      const isVoid = stamps[place] < lostUntil[lossPlace(record.cpu)];
      if (isFirst && !isVoid) return;
      if (isVoid) lost();
      else if (!startsAgain) noEnd();
    }
    stamps[place] = record.timestampNs;
    tags[place] = start.row(record);
    if (span !== undefined && values !== undefined) values[place] = span.start(record);
  };

  const onEnd = (record: EventRecord): void => {
    if (end.filter !== undefined && !end.filter(record)) return;
    if (pid !== undefined && isSelf(record.words[(record.offset >> 2) + pid.end])) {
      ignoreSelf();
      return;
    }
    const place = starts.end(record);
    const { stamps, tags, values } = starts.columns;
    const since = stamps[place];
    if (since === 0) {
      if (!endsAlone) noStart();
      return;
    }
    const row = tags[place];
    // A timer can expire before its planned expiry, so the difference of two fields can be negative.
    const ns =
      span === undefined || values === undefined
        ? record.timestampNs - since
        : Math.max(0, span.end(record) - values[place]);
    starts.free(place);
    if (since < lostUntil[lossPlace(record.cpu)]) lost();
    else if (ns < 0) late();
    else {
      const both = rowOf(row, end.row(record));
      amounts.record(both, record.cpu, ns, amounts.containerOf(record));
      report?.(both, record, ns);
    }
  };

  const isSame = metric.start?.event === metric.event.event;
  const onBoth = (record: EventRecord): void => {
    onEnd(record);
    onStart(record);
  };
  return {
    handlers: isSame
      ? [[metric.event.event, onBoth]]
      : [
          [metric.start?.event ?? '', onStart],
          [metric.event.event, onEnd],
        ],
    onLoss: (cpu, untilNs) => {
      const at = lossPlace(cpu);
      if (untilNs > lostUntil[at]) lostUntil[at] = untilNs;
    },
  };
}

function spanOf(
  { start, end }: NonNullable<DeclaredMetric['between']>,
  startFormat: EventFormat,
  endFormat: EventFormat,
): { start: IntReader; end: IntReader } {
  return { start: intReader(startFormat, start), end: intReader(endFormat, end) };
}

/** Returns the offset of `common_pid` in both events, in 32-bit words; undefined if it is not in the key. */
function ownPid(
  { key }: DeclaredMetric,
  start: EventFormat,
  end: EventFormat,
): { start: number; end: number } | undefined {
  if (!key.some((part) => part.start === TASK && part.end === TASK)) return undefined;
  return { start: wordOffset(start, TASK), end: wordOffset(end, TASK) };
}
