/** Counts traces and spans by outcome: in the capture thread those that it drops, in the main thread the others. */
import type { MetricStore } from '../../metrics/store.ts';
import { type SpanKind, type SpanOutcome, type SpansConfig, TASK_KINDS } from '../../model/span.ts';
import type { SpanCounts } from '../../spans/deps.ts';

const TRACES = {
  name: 'ftrace_exporter_traces_total',
  help: 'Slow operations (at least as long as the threshold of their kind), by kind and by the outcome of their trace.',
  labels: ['kind', 'outcome'],
};
const SPANS = {
  name: 'ftrace_exporter_spans_total',
  help: 'Spans in traces of slow operations, by kind of operation and by outcome. "pruned": the span was left out of its trace.',
  labels: ['kind', 'outcome'],
};

const FILTERED = {
  name: 'ftrace_exporter_traces_filtered_total',
  help: 'Slow operations that have no trace because a filter of their kind (processes, containers or classes in the config) excludes their task.',
  labels: ['kind'],
};

/** `outcomes`: the outcomes that this thread counts. Their series start at 0 for all enabled kinds. */
export function declareSpanCounts(
  store: MetricStore,
  config: Pick<SpansConfig, 'kinds'>,
  outcomes: readonly SpanOutcome[],
): SpanCounts {
  const traces = store.counter(TRACES);
  const spans = store.counter(SPANS);
  // Only the capture thread filters operations, and only this thread counts `over_budget`.
  const filtered = outcomes.includes('over_budget') ? store.counter(FILTERED) : undefined;
  for (const kind of Object.keys(config.kinds)) {
    for (const outcome of outcomes) {
      // Only spans are pruned, not whole traces.
      if (outcome !== 'pruned') traces.slot([kind, outcome]);
      spans.slot([kind, outcome]);
    }
    if (TASK_KINDS.some((one) => one === kind)) filtered?.slot([kind]);
  }
  const counting =
    (family: typeof traces) =>
    (kind: SpanKind, outcome: SpanOutcome, count = 1): void =>
      family.add(family.slot([kind, outcome]), count);
  return {
    trace: counting(traces),
    span: counting(spans),
    filtered: (kind) => filtered?.add(filtered.slot([kind]), 1),
  };
}
