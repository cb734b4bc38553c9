/** Writes traces in Perfetto's "Trace Event Format": https://perfetto.dev/docs/getting-started/other-formats */
import type { SpanRecord, TraceRecord } from '../../model/span.ts';
import { isoTime } from './slow-json.ts';

interface TraceEvent {
  name: string;
  ph: 'X' | 'M';
  cat?: string;
  ts?: number;
  dur?: number;
  pid: number;
  tid: number;
  args: Record<string, unknown>;
}

export function perfettoJson(traces: readonly TraceRecord[]): string {
  const first = traces.map(({ spans: [root] }) => root).sort(byStart)[0];
  const events = traces.flatMap((trace, i) => eventsOf(trace, first, i + 1));
  return JSON.stringify({
    traceEvents: events,
    displayTimeUnit: 'ns',
    otherData: { start: first === undefined ? '' : isoTime(first.start), producer: 'ftrace-exporter' },
  });
}

/** Returns a trace's events. A span that overlaps another span without being nested gets a track of its own. */
function eventsOf(
  { kind, traceId, spans, resource }: TraceRecord,
  first: SpanRecord,
  pid: number,
): TraceEvent[] {
  const [root] = spans;
  const events: TraceEvent[] = [
    { name: 'process_name', ph: 'M', pid, tid: 1, args: { name: `${root.name} (${kind})` } },
  ];
  const tracks: SpanRecord[][] = [];
  for (const span of [...spans].sort(byStart)) {
    let track = tracks.findIndex((open) => fits(open, span));
    if (track < 0) track = tracks.push([]) - 1;
    tracks[track].push(span);
    events.push({
      name: span.name,
      ph: 'X',
      cat: kind,
      ts: nsBetween(first, span) / 1000,
      dur: span.durationNs / 1000,
      pid,
      tid: track + 1,
      args: {
        trace_id: traceId,
        span_id: span.spanId,
        parent_span_id: span.parentSpanId,
        error: span.error,
        ...span.attributes,
        ...(span === root ? resource : {}),
      },
    });
  }
  return events;
}

/** Removes the last spans of `open` that end before `span` begins. Returns whether the span before them contains it. */
function fits(open: SpanRecord[], span: SpanRecord): boolean {
  while (open.length > 0 && nsBetween(open[open.length - 1], span) >= open[open.length - 1].durationNs)
    open.pop();
  const around = open.at(-1);
  return around === undefined || nsBetween(around, span) + span.durationNs <= around.durationNs;
}

function byStart(a: SpanRecord, b: SpanRecord): number {
  return nsBetween(b, a) || b.durationNs - a.durationNs;
}

function nsBetween(a: SpanRecord, b: SpanRecord): number {
  return (b.start[0] - a.start[0]) * 1e9 + b.start[1] - a.start[1];
}
