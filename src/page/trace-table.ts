/** Lists traces, each with a link to its waterfall. */
import type { SlowTree } from '../model/slow.ts';
import { table } from './dom.ts';
import { duration, when } from './format.ts';
import { whoOf } from './names.ts';

export function traceTable(traces: readonly SlowTree[]): HTMLElement {
  const head = ['Operation', 'Takes', 'Who', 'When', 'Kind'].map((text, i) => ({ text, number: i === 1 }));
  const rows = traces.map((trace) => [
    {
      text: trace.error === undefined ? trace.name : `${trace.name} (${trace.error})`,
      href: traceLink(trace),
    },
    { text: duration(trace.durationSeconds), number: true },
    { text: whoOf(trace) },
    { text: when(trace.start) },
    { text: trace.kind },
  ]);
  return table('Traces', head, rows);
}

/** Links to a trace and its root span, because several traces can have the trace ID of one application. */
export function traceLink({ traceId, spanId }: SlowTree): string {
  return `#/trace/${traceId}/${spanId}`;
}
