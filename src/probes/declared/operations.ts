/** For traces, reports operations of declared metrics to a sink. */
import { wordOffset } from '../../decode/fields.ts';
import { type DeclaredMetric, TASK } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { EventRecord } from '../../model/record.ts';
import type { ProbeContext } from '../probe.ts';

/** Reports an operation of `ns`. `row`: number of the label values. `record`: the operation's end or only event. */
export type OperationReport = (row: number, record: EventRecord, ns: number) => void;

/** Whether each time in the metric is the time of a single task. */
export function isOfTask({ start, event, key, between, taskTime }: DeclaredMetric): boolean {
  if (start === undefined) return taskTime !== undefined;
  const isOfKey = key.some((part) => part.start === TASK && part.end === TASK && part.mask === undefined);
  return isOfKey && between === undefined && start.event !== event.event;
}

export function reportOf(
  { intervals }: ProbeContext,
  metric: DeclaredMetric,
  format: EventFormat,
  values: (row: number) => readonly string[],
): OperationReport | undefined {
  const sink = isOfTask(metric) ? intervals.operations : undefined;
  if (sink === undefined) return undefined;
  const pidAt = wordOffset(format, TASK);
  return (row, { words, offset, cpu, timestampNs }, ns) => {
    if (ns < sink.thresholdNs) return;
    const startNs = metric.taskTime === 'spends' ? timestampNs : timestampNs - ns;
    const pid = words[(offset >> 2) + pidAt];
    sink.ended({ metric, values: values(row), pid, cpu, startNs, endNs: startNs + ns });
  };
}
