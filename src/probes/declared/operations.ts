/** Reports what declared metrics measure of a task, for traces. */
import { wordOffset } from '../../decode/fields.ts';
import { type DeclaredMetric, TASK } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { EventRecord } from '../../model/record.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { CommonOptions, ProbeContext } from '../probe.ts';

export interface OperationReport {
  readonly thresholdNs: number;
  /** `row`: of the metric's labels. The record is the event that showed it. */
  ended(row: number, record: EventRecord, startNs: TimestampNs, endNs: TimestampNs): void;
}

/** Whether each measured time is that of one task. */
export function isOfTask({ start, event, key, between, taskTime }: DeclaredMetric): boolean {
  if (start === undefined) return taskTime !== undefined;
  const isOfKey = key.some((part) => part.start === TASK && part.end === TASK && part.mask === undefined);
  return isOfKey && between === undefined && start.event !== event.event;
}

/** Undefined if nothing wants to know, or the times are not those of a task. */
export function reportOf(
  { intervals: { operations: sink } }: ProbeContext,
  metric: DeclaredMetric,
  { per_cpu: isPerCpu }: CommonOptions,
  format: EventFormat,
  values: (row: number) => readonly string[],
): OperationReport | undefined {
  if (sink === undefined || !isOfTask(metric)) return undefined;
  const pidAt = wordOffset(format, TASK);
  const { name, kind, taskTime } = metric;
  const labels = metric.labels.map((label) => label.name);
  const measured = { name, labels, isHistogram: kind === 'histogram', isPerCpu };
  return {
    thresholdNs: sink.thresholdNs,
    ended: (row, { words, offset, cpu }, startNs, endNs) =>
      sink.ended({
        metric: measured,
        values: values(row),
        pid: words[(offset >> 2) + pidAt],
        ...{ cpu, startNs, endNs },
        isAnnounced: taskTime === 'spends',
      }),
  };
}
