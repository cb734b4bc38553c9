/** Shows the agent's status, and the records of latency tracers. */
import type { StatusDocument } from '../model/status.ts';
import { getJson } from './api.ts';
import { el } from './dom.ts';
import { duration, when } from './format.ts';

export function getStatus(): Promise<StatusDocument> {
  return getJson<StatusDocument>('api/v1/status');
}

/** Returns the names of the latency tracers that are running. */
export function latencyTracers({ capture }: StatusDocument): string[] {
  return (capture?.buffers ?? []).filter(({ reader }) => reader === 'none').map(({ buffer }) => buffer);
}

/** Shows the page for browsers without scripts. The agent renders its content for each request. */
export function agentPage(view: HTMLElement): () => void {
  void (async () => {
    const text = await (await fetch('./')).text();
    // DOMParser runs no scripts, so it parses the content of noscript as elements.
    const fresh = new DOMParser().parseFromString(text, 'text/html').querySelector('noscript');
    view.replaceChildren(
      ...(fresh === null ? [] : [...fresh.childNodes].map((node) => document.importNode(node, true))),
    );
  })().catch((error: unknown) => view.append(el('p', {}, `The agent does not answer: ${error}`)));
  return () => {};
}

interface LatencyDocument {
  tracer: string;
  records: { latency_seconds: number; at: string; trace: string }[];
}

/** Shows the worst records of each latency tracer, with the trace that the kernel wrote. */
export function latencyPage(view: HTMLElement, tracers: readonly string[]): () => void {
  view.append(el('h2', { class: 'title' }, 'Latency tracers'));
  if (tracers.length === 0) {
    view.append(
      el(
        'p',
        {},
        'No latency tracer is running. The probes wakeup, wakeup_rt, irqsoff and others record the worst cases.',
      ),
    );
  }
  for (const tracer of tracers) {
    const section = el('section', { class: 'card' }, el('h2', {}, tracer));
    view.append(section);
    getJson<LatencyDocument>(`api/v1/latency/${tracer}`)
      .then(({ records }) => {
        if (records.length === 0) section.append(el('p', {}, 'No record yet.'));
        records.forEach((record, i) => {
          section.append(
            el(
              'details',
              { open: i === 0 },
              el('summary', {}, `${duration(record.latency_seconds)} at ${when(record.at)}`),
              el('pre', { class: 'scroll', tabindex: 0 }, record.trace),
            ),
          );
        });
      })
      .catch((error: unknown) => section.append(el('p', {}, `No records: ${error}`)));
  }
  return () => {};
}
