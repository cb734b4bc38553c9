/** Converts drafts (unfinished traces) that the budget kept to records with ids, wall-clock times and task facts. */
import type { SpanRecord, TraceRecord } from '../model/span.ts';
import type { DraftAttributes } from './attributes.ts';
import type { Chosen } from './budget.ts';
import type { SpanDeps, TaskFacts } from './deps.ts';
import type { SpanDraft } from './draft.ts';
import { summaryAttributes } from './summary.ts';

const NOTHING: TaskFacts = { attributes: {}, resource: {} };
const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

export function makeRecorder(deps: Pick<SpanDeps, 'wallTime' | 'random' | 'taskFacts'>) {
  const bytes = new Uint8Array(TRACE_ID_BYTES);

  // Retries if the id is all zeroes, because W3C Trace Context forbids that id.
  const newId = (length: number): string => {
    const id = bytes.subarray(0, length);
    do deps.random(id);
    while (id.every((byte) => byte === 0));
    return Buffer.from(id).toString('hex');
  };

  /** Caches facts about tasks that ran while others waited, because many traces name the same tasks. */
  const lookedUp = new Map<number, TaskFacts>();
  const factsOf = ({ factsOf: pid, startNs }: SpanDraft): TaskFacts => {
    if (pid === undefined) return NOTHING;
    const facts = lookedUp.get(pid) ?? deps.taskFacts(pid, startNs);
    lookedUp.set(pid, facts);
    return facts;
  };

  const recordOf = ({ kind, weightNs, draft }: Chosen): TraceRecord => {
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
      for (const child of span.children) {
        const { attributes, resource } = factsOf(child);
        add(child, spanId, { ...attributes, ...resource });
      }
    };
    const summary = draft.causes && summaryAttributes(root.endNs - root.startNs, draft.causes, draft.isLossy);
    add(root, parent?.spanId ?? '', { ...facts.attributes, ...summary });
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
  /** Returns the records of `chosen` in the same order. Stops early if `isLate` returns true. */
  return (chosen: readonly Chosen[], isLate: () => boolean): TraceRecord[] => {
    lookedUp.clear();
    const records: TraceRecord[] = [];
    for (const one of chosen) {
      if (isLate()) break;
      records.push(recordOf(one));
    }
    return records;
  };
}

function withValues<T>(all: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const present: Record<string, T> = {};
  for (const [name, value] of Object.entries(all)) if (value !== undefined) present[name] = value;
  return present;
}
