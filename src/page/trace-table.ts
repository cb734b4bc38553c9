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

/**
 * Returns a link to a trace. The link contains the root span's ID, because several of our traces can be parts of one
 * trace of an application and then have the same trace ID.
 */
export function traceLink({ traceId, spanId }: SlowTree): string {
  return `#/trace/${traceId}/${spanId}`;
}
