/** Shows a trace as a waterfall: span tree, times, attributes, and a summary of what used most time. */
import type { SlowAnswer, SlowTree, SpanTree } from '../model/slow.ts';
import { getJson } from './api.ts';
import { noTraces } from './cell-traces.ts';
import { el, table } from './dom.ts';
import { explanationOf, whoseIs } from './explanation.ts';
import { count, duration, share, when } from './format.ts';
import { whoOf } from './names.ts';

const MOST_SPANS = 500;
const DEEPEST = 12;

export function tracePage(view: HTMLElement, traceId: string, spanId: string | undefined): () => void {
  void load(view, traceId, spanId);
  return () => {};
}

async function load(view: HTMLElement, traceId: string, spanId: string | undefined): Promise<void> {
  try {
    const { traces } = await getJson<SlowAnswer>(`api/v1/slow?${new URLSearchParams({ trace_id: traceId })}`);
    const chosen = traces.find((trace) => trace.spanId === spanId) ?? traces[0];
    if (chosen === undefined)
      view.append(
        el('h2', { class: 'title' }, `Trace ${traceId}`),
        el('p', {}, 'The agent no longer has this trace in memory. A tracing backend may still have it.'),
      );
    else show(view, chosen);
  } catch (error) {
    view.append(el('p', {}, noTraces(error)));
  }
}

function show(view: HTMLElement, trace: SlowTree): void {
  const details = el('div', { class: 'attributes' });
  const select = (span: SpanTree) => details.replaceChildren(...attributesOf(span, trace));
  view.append(
    el(
      'h2',
      { class: 'title' },
      `${trace.name} ${duration(trace.durationSeconds)}`,
      trace.error === undefined ? undefined : el('strong', { class: 'bad' }, ` ${trace.error}`),
      trace.attributes['ftrace.incomplete'] === true
        ? el('strong', { class: 'bad' }, ' incomplete')
        : undefined,
    ),
    el('p', {}, String(trace.attributes['ftrace.summary'] ?? '')),
    el('p', { class: 'muted' }, `${whoOf(trace)} · ${when(trace.start)} · ${trace.kind}`),
    actions(trace),
    el('section', { class: 'card' }, el('h2', {}, 'What explains the time'), explanation(trace)),
    el(
      'section',
      { class: 'card' },
      el('h2', {}, 'Waterfall'),
      waterfall(trace, select),
      trace.pruned > 0
        ? el('p', { class: 'muted' }, `${count(trace.pruned)} shorter spans were left out.`)
        : undefined,
    ),
    el('section', { class: 'card' }, el('h2', {}, 'Attributes'), details),
  );
  select(trace);
}

function actions({ traceId }: SlowTree): HTMLElement {
  const copied = el('span', { role: 'status', class: 'muted' });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      copied.textContent = 'copied';
    } catch {
      // Browsers allow access to the clipboard only over HTTPS and on localhost.
      copied.textContent = location.href;
    }
  };
  return el(
    'p',
    { class: 'chips' },
    el('button', { type: 'button', onclick: () => void copy() }, 'Copy link'),
    el(
      'a',
      { href: `api/v1/slow?trace_id=${traceId}&format=perfetto`, download: '' },
      'Download for Perfetto',
    ),
    el('a', { href: `api/v1/slow?trace_id=${traceId}` }, 'JSON'),
    copied,
  );
}

function explanation(trace: SlowTree): HTMLElement {
  const number = (text: string) => ({ text, number: true });
  const rows = explanationOf(trace).map(({ what, seconds, times }) => [
    { text: what },
    number(share(seconds / trace.durationSeconds)),
    number(duration(seconds)),
    number(count(times)),
  ]);
  const head = ['', 'Share', 'Time', 'Spans'].map((text, i) => ({ text, number: i > 0 }));
  return table('What explains the time', head, rows);
}

function waterfall(trace: SlowTree, select: (span: SpanTree) => void): HTMLElement {
  const rows: HTMLElement[] = [];
  const startNs = nanoseconds(trace.start);
  const visit = (span: SpanTree, depth: number) => {
    if (rows.length >= MOST_SPANS) return;
    rows.push(
      rowOf(
        span,
        { depth, offset: Number(nanoseconds(span.start) - startNs) / 1e9, total: trace.durationSeconds },
        select,
      ),
    );
    for (const child of span.children) visit(child, depth + 1);
  };
  visit(trace, 0);
  const axis = [0, 0.25, 0.5, 0.75, 1].map((part) => el('span', {}, duration(part * trace.durationSeconds)));
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Waterfall' },
    el(
      'table',
      { class: 'waterfall' },
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('th', { scope: 'col' }, 'Span'),
          el('th', { scope: 'col', class: 'number' }, 'Takes'),
          el('th', { scope: 'col', class: 'axis' }, el('div', {}, ...axis)),
        ),
      ),
      el('tbody', {}, ...rows),
    ),
  );
}

function rowOf(
  span: SpanTree,
  { depth, offset, total }: { depth: number; offset: number; total: number },
  select: (span: SpanTree) => void,
): HTMLElement {
  const bar = el('i', { class: span.error === undefined ? 'span' : 'span failed' });
  const percent = (seconds: number) => Math.min(Math.max((seconds / total) * 100, 0), 100);
  bar.style.marginLeft = `min(${percent(offset)}%, 100% - 2px)`;
  bar.style.width = `max(2px, ${Math.min(percent(span.durationSeconds), 100 - percent(offset))}%)`;
  const name = el('button', { type: 'button', class: 'name', onclick: () => select(span) }, span.name);
  const whose = whoseIs(span);
  name.style.marginLeft = `calc(${Math.min(depth, DEEPEST)} * var(--indent))`;
  return el(
    'tr',
    {},
    el(
      'th',
      { scope: 'row' },
      name,
      depth === 0 || whose === undefined ? undefined : el('span', { class: 'muted' }, ` ${whose}`),
    ),
    el('td', { class: 'number' }, duration(span.durationSeconds)),
    el('td', { class: 'bar', title: `from ${duration(offset)}` }, bar),
  );
}

function attributesOf(span: SpanTree, trace: SlowTree): HTMLElement[] {
  const pairs: [string, unknown][] = [
    ...Object.entries(span.attributes),
    ...(span.spanId === trace.spanId ? Object.entries(trace.resource) : []),
    ['start', span.start],
    ['span id', span.spanId],
    ['trace id', trace.traceId],
  ];
  return [
    el(
      'p',
      {},
      el('strong', {}, span.name),
      ` ${duration(span.durationSeconds)} `,
      el('span', { class: 'bad' }, span.error ?? ''),
    ),
    el(
      'dl',
      {},
      ...pairs.map(([name, value]) =>
        el(
          'div',
          {},
          el('dt', {}, name),
          el('dd', {}, Array.isArray(value) ? value.join(', ') : String(value)),
        ),
      ),
    ),
  ];
}

/** Converts an ISO 8601 time with nine decimals to nanoseconds since 1970. */
function nanoseconds(iso: string): bigint {
  const dot = iso.lastIndexOf('.');
  return BigInt(Date.parse(`${iso.slice(0, dot)}Z`)) * 1_000_000n + BigInt(iso.slice(dot + 1, -1));
}
