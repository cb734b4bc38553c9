/** Renders slow operations as waterfalls. Uses SVG, because the Content-Security-Policy forbids inline styles. */
import type { AttributeValue, SpanRecord, TraceRecord } from '../../model/span.ts';
import { type Html, html } from './html.ts';
import { formatNs } from './units.ts';

const MAX_ROWS = 25;
/** Width of a row's bar area, in SVG units. */
const WIDTH = 1000;
/** Minimum width of a bar in SVG units. A narrower bar would be invisible. */
const LEAST_WIDTH = 3;
const DEEPEST = 8;

const NONE: Html = { html: '' };

export function slowCard(traces: readonly TraceRecord[], path: string): Html {
  const list =
    traces.length === 0
      ? html`<p>None so far.</p>`
      : html`<div>${traces.map((trace) => waterfall(trace, path))}</div>`;
  return html`<section class="card"><h2>Slowest operations</h2>${list}
<p class="muted more">From the last hour, for every enabled kind. More, with all attributes: <a href="${path}">slow
operations (JSON)</a></p></section>`;
}

function waterfall(trace: TraceRecord, path: string): Html {
  const { kind, traceId, spans, pruned } = trace;
  const [root] = spans;
  const depths = depthsOf(spans);
  const rows = spans.slice(0, MAX_ROWS).map((span) => row(root, span, depths.get(span.spanId) ?? 0));
  const hidden = Math.max(0, spans.length - MAX_ROWS) + pruned;
  const more = hidden > 0 ? html`<p class="muted">and ${hidden} more</p>` : NONE;
  const who = [root.attributes['thread.name'], root.attributes['ftrace.thread.id']]
    .filter((value) => value !== undefined)
    .map(textOf)
    .join(' ');
  const failure = root.error === undefined ? NONE : html` <strong class="bad">${root.error}</strong>`;
  return html`<details class="trace"><summary><strong>${root.name}</strong> ${formatNs(root.durationNs)}${failure}
<span class="muted">${who} · ${new Date(root.start[0] * 1000).toISOString().replace('.000', '')} · ${kind}</span></summary>
<div class="scroll" tabindex="0" role="region" aria-label="${`Spans of ${root.name}`}"><table class="spans">
<thead><tr><th scope="col">Span</th><th scope="col" class="number">Takes</th><th scope="col">When</th></tr></thead>
<tbody>${rows}</tbody></table></div>${more}<p class="muted">trace <a
href="${path}?trace_id=${traceId}">${traceId}</a></p></details>`;
}

function row(root: SpanRecord, span: SpanRecord, depth: number): Html {
  const total = Math.max(1, root.durationNs);
  const from = Math.min(Math.max(0, nsBetween(root, span) / total), 1);
  const x = Math.min(Math.round(from * WIDTH), WIDTH - LEAST_WIDTH);
  const width = Math.min(Math.max(LEAST_WIDTH, Math.round((span.durationNs / total) * WIDTH)), WIDTH - x);
  const lines = Object.entries(span.attributes).map(([name, value]) => `${name}: ${textOf(value)}`);
  return html`<tr><th scope="row" class="${`d${Math.min(depth, DEEPEST)}`}" title="${lines.join('\n')}">${span.name}</th>
<td class="number">${formatNs(span.durationNs)}</td>
<td class="bar"><svg viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true"><rect x="${x}" y="1" width="${width}" height="8"${
    span.error === undefined ? NONE : { html: ' class="failed"' }
  }/></svg></td></tr>`;
}

function nsBetween(root: SpanRecord, span: SpanRecord): number {
  return (span.start[0] - root.start[0]) * 1e9 + span.start[1] - root.start[1];
}

/** Returns the depth of each span by span ID; the root has depth 0. Requires that parents precede children. */
function depthsOf(spans: readonly SpanRecord[]): Map<string, number> {
  const depths = new Map<string, number>();
  for (const { spanId, parentSpanId } of spans) depths.set(spanId, (depths.get(parentSpanId) ?? -1) + 1);
  return depths;
}

function textOf(value: AttributeValue): string {
  return typeof value === 'object' ? value.join(', ') : String(value);
}
