/** The kind `metrics`: single operations of tasks that declared metrics measure. */
import type { MeasuredMetric, Operation } from '../model/intervals.ts';
import type { KindOptions } from '../model/span.ts';
import { taskAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Offer, SpanDraft, TraceDraft } from './draft.ts';
import { operationAttributes, operationName } from './operations.ts';

/** Reports operations that reached the threshold, of the metrics that the config names. */
export function makeOperationTraces(
  { thresholdNs, include = ['*'] }: KindOptions,
  offer: Offer,
  deps: SpanDeps,
  commOf: (pid: number, cpu: number) => string,
) {
  const isNamed = includes(deps.matcher(include));
  return (operation: Operation): void => {
    const { metric, values, pid, cpu, startNs, endNs } = operation;
    const valueNs = endNs - startNs;
    if (valueNs < thresholdNs || !isNamed(metric)) return;
    const comm = commOf(pid, cpu);
    const make = (): TraceDraft => {
      const attributes = { ...taskAttributes(pid, comm), 'cpu.logical_number': cpu };
      const root: SpanDraft = {
        ...{ name: operationName(metric), startNs, endNs, children: [] },
        attributes: { ...attributes, ...operationAttributes(operation) },
      };
      const labelValues = metric.isPerCpu ? [...values, String(cpu)] : values;
      const exemplar = { metric: metric.name, labelValues, valueNs, span: root };
      const exemplars = metric.isHistogram ? [exemplar] : [];
      return { root, pid, parent: deps.parentOf(pid, startNs), pruned: 0, exemplars };
    };
    offer('metrics', valueNs, make, { pid, comm, atNs: startNs });
  };
}

/** Asks once for each metric. */
function includes(matches: (name: string) => boolean): (metric: MeasuredMetric) => boolean {
  const answers = new Map<MeasuredMetric, boolean>();
  return (metric) => {
    const answer = answers.get(metric) ?? matches(shortName(metric.name));
    answers.set(metric, answer);
    return answer;
  };
}

/** Name of a family as the config gives it. */
export function shortName(family: string): string {
  return family.replace(/^ftrace_/, '');
}
