import type { TraceRecord } from '../../model/span.ts';

/** Whole traces that wait for a request, bounded by their number of spans. */
export interface TraceQueue {
  isEmpty(): boolean;
  /** Spans of traces that wait or were taken, until they are released. */
  spans(): number;
  /** Returns false if there is no room. */
  add(trace: TraceRecord): boolean;
  /** Takes traces from the front, at most `maxSpans` spans together, but at least one trace. */
  take(maxSpans: number): TraceRecord[];
  /** Makes room: these traces were taken and have an outcome. */
  release(traces: readonly TraceRecord[]): void;
}

export function makeTraceQueue(maxQueueSpans: number): TraceQueue {
  let queue: TraceRecord[] = [];
  let spans = 0;
  return {
    isEmpty: () => queue.length === 0,
    spans: () => spans,
    add: (trace) => {
      if (spans + trace.spans.length > maxQueueSpans) return false;
      queue.push(trace);
      spans += trace.spans.length;
      return true;
    },
    take: (maxSpans) => {
      let size = 0;
      let length = 0;
      while (length < queue.length) {
        size += queue[length].spans.length;
        if (length > 0 && size > maxSpans) break;
        length++;
      }
      const batch = queue.slice(0, length);
      queue = queue.slice(length);
      return batch;
    },
    release: (traces) => {
      for (const trace of traces) spans -= trace.spans.length;
    },
  };
}
