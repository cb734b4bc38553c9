/** Makes a record of a kept draft: adds ids, wall-clock times and facts about its task; parents come before children. */
import type { SpanRecord, TraceRecord } from '../model/span.ts';
import type { DraftAttributes } from './attributes.ts';
import type { Chosen } from './budget.ts';
import type { SpanDeps, TaskFacts } from './deps.ts';
import type { SpanDraft } from './draft.ts';

const NOTHING: TaskFacts = { attributes: {}, resource: {} };
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

export function makeRecorder(deps: Pick<SpanDeps, 'wallTime' | 'random'>) {
  const bytes = new Uint8Array(TRACE_ID_BYTES);

  // W3C trace context: an id of only zeroes is invalid.
  const newId = (length: number): string => {
    const id = bytes.subarray(0, length);
    do deps.random(id);
    while (id.every((byte) => byte === 0));
    return Buffer.from(id).toString('hex');
  };

  return ({ kind, weightNs, draft }: Chosen): TraceRecord => {
    const { root, parent, pruned, facts = NOTHING } = draft;
    const ids = new Map<SpanDraft, string>();
    const spans: SpanRecord[] = [];
    const add = (span: SpanDraft, parentSpanId: string, more: DraftAttributes): void => {
      const spanId = newId(SPAN_ID_BYTES);
      ids.set(span, spanId);
      spans.push({
        name: span.name,
        spanId,
        parentSpanId,
        start: deps.wallTime(span.startNs),
        end: deps.wallTime(span.endNs),
        durationNs: span.endNs - span.startNs,
        attributes: withValues({ ...more, ...span.attributes }),
        error: span.error,
      });
      for (const child of span.children) add(child, spanId, {});
    };
    add(root, parent?.spanId ?? '', facts.attributes);
    return {
      kind,
      traceId: parent?.traceId ?? newId(TRACE_ID_BYTES),
      spans,
      weightNs,
      pruned,
      resource: withValues(facts.resource),
      exemplars: draft.exemplars.flatMap(({ span, metric, labelValues, valueNs }) => {
        const spanId = ids.get(span);
        return spanId === undefined ? [] : [{ metric, labelValues, valueNs, spanId }];
      }),
    };
  };
}

function withValues<T>(all: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const present: Record<string, T> = {};
  for (const [name, value] of Object.entries(all)) if (value !== undefined) present[name] = value;
  return present;
}
