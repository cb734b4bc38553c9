/** A list of traces, each with a link to its waterfall. */
import type { SlowTree } from '../model/slow.ts';
import { table } from './dom.ts';
import { duration, when } from './format.ts';

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

/** Several traces can share the id of an application's trace. */
export function traceLink({ traceId, spanId }: SlowTree): string {
  return `#/trace/${traceId}/${spanId}`;
}

/** Program, thread, container: what the trace knows of them. */
export function whoOf({ attributes, resource }: SlowTree): string {
  const parts = [
    attributes['process.executable.name'] ?? attributes['thread.name'],
    attributes['process.pid'],
    resource['k8s.pod.name'] ?? resource['container.id']?.slice(0, 12),
  ];
  return parts
    .filter((part) => part !== undefined)
    .map(String)
    .join(' · ');
}
