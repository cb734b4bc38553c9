/** Renders the page at `/`. Without scripts, it shows the status document. The scripts in src/page add charts. */
import type { TraceRecord } from '../../model/span.ts';
import type {
  BudgetStatus,
  BufferStatus,
  CaptureStatus,
  ProbeStatus,
  StatusDocument,
} from '../../model/status.ts';
import { PAGE_STYLE } from '../server/page-style.ts';
import { type Html, html } from './html.ts';
import { lossCard } from './page-loss.ts';
import { slowCard } from './page-slow.ts';
import { formatBytes, formatCount, formatDuration, formatSeconds, formatShare } from './units.ts';

export interface PagePaths {
  metrics: string;
  status: string;
  health: string;
  readiness: string;
  slow: string;
  /** Style sheets of the page. `scripts` are the classic scripts that the page loads before its modules. */
  styles: readonly string[];
  scripts: readonly string[];
  /** The first module to load. */
  entry: string;
  latency(tracer: string): string;
}

/** The icon: a pulse on a screen. With a data: URI, browsers need no request for the icon. */
const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%230b5cad'/%3E%3Cpath d='M2 9h3l2-5 2 8 2-5 1 2h2' fill='none' stroke='%23fff' stroke-width='1.5'/%3E%3C/svg%3E";

const NONE: Html = { html: '' };
const STYLE: Html = { html: `<style>${PAGE_STYLE}</style>` };

/** Returns the page as HTML. `slowest` are the slowest operations; undefined if no operations are traced. */
export function renderPage(
  status: StatusDocument,
  paths: PagePaths,
  slowest?: readonly TraceRecord[],
): string {
  const { capture } = status;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ftrace-exporter</title>
<link rel="icon" href="${ICON}">
${STYLE}
${paths.styles.map((path) => html`<link rel="stylesheet" href="${relative(path)}">`)}
${paths.scripts.map((path) => html`<script defer src="${relative(path)}"></script>`)}
<script type="module" src="${relative(paths.entry)}"></script>
</head>
<body>
<header>
<h1>ftrace-exporter</h1>
${state(status)}
<p class="tagline muted">The Linux kernel's own tracers as Prometheus metrics. Version ${status.version}</p>
</header>
<main>
<div id="app"></div>
<noscript>
${demoBanner(status)}
${problemBanner(status)}
${capture === null ? NONE : warnings(capture.warnings)}
${links(paths)}
${slowest === undefined ? NONE : slowCard(slowest, relative(paths.slow))}
${capture === null ? NONE : captureCards(capture, paths)}
<p class="muted">As of this request; reload for newer figures.</p>
</noscript>
</main>
</body>
</html>
`.html;
}

function state({ ready }: StatusDocument): Html {
  return ready
    ? html`<p id="state" class="state good">Ready</p>`
    : html`<p id="state" class="state bad">Not ready</p>`;
}

function demoBanner({ source }: StatusDocument): Html {
  if (source === 'live') return NONE;
  return html`<div class="banner warn demo"><strong>Demonstration: a bundled recording, not this machine</strong>
<span>The agent could not use the kernel's tracers here, or it was started to serve a recording. Every series carries the label
<code>source="replay"</code>.</span></div>`;
}

function problemBanner({ ready, reason }: StatusDocument): Html {
  if (reason === '') return NONE;
  const title = ready ? 'The capture thread does not answer' : 'Not ready';
  return html`<div class="banner bad" role="alert"><strong>${title}</strong><span>${reason}</span></div>`;
}

function warnings(list: readonly string[]): Html {
  if (list.length === 0) return NONE;
  const items = list.map((text) => html`<li>${text}</li>`);
  return html`<div class="banner warn"><strong>Warnings</strong><ul>${items}</ul></div>`;
}

function links(paths: PagePaths): Html {
  return html`<nav aria-label="Endpoints"><ul>
<li class="first"><a href="${relative(paths.metrics)}">Metrics</a></li>
<li><a href="${relative(paths.status)}">Status (JSON)</a></li>
<li><a href="${relative(paths.health)}">Health</a></li>
<li><a href="${relative(paths.readiness)}">Readiness</a></li>
</ul></nav>`;
}

/** Makes a path relative to the page, so that links work behind a reverse proxy that adds a path prefix. */
function relative(path: string): string {
  return `.${path}`;
}

function captureCards(capture: CaptureStatus, paths: PagePaths): Html {
  return html`${probesCard(capture.probes)}
${lossCard(capture.loss)}
${buffersCard(capture.buffers, paths)}
${costCard(capture)}
${machineCard(capture)}`;
}

function probesCard(probes: readonly ProbeStatus[]): Html {
  if (probes.length === 0) {
    return html`<section class="card"><h2>Probes</h2><p>No probe is enabled.</p></section>`;
  }
  const rows = probes.map(
    (probe) => html`<tr><th scope="row">${probe.name}</th>
<td>${probe.up ? html`<span class="good">on</span>` : html`<strong class="bad">off</strong>`}</td>
<td class="wide">${probe.up ? NONE : html`${probe.reason || 'no reason given'} `}${events(probe.events)}${(probe.notes ?? []).map((note) => html`<br>${note}`)}</td></tr>`,
  );
  return html`<section class="card"><h2 id="probes">Probes</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="probes"><table>
<thead><tr><th scope="col">Probe</th><th scope="col">State</th><th scope="col">Reason, events</th></tr></thead>
<tbody>${rows}</tbody></table></div></section>`;
}

function events(names: readonly string[]): Html {
  return names.length === 0 ? NONE : html`<code class="events">${names.join(', ')}</code>`;
}

function buffersCard(buffers: readonly BufferStatus[], paths: PagePaths): Html {
  if (buffers.length === 0) return NONE;
  const rows = buffers.map(({ buffer, instance, reader, bufferBytesPerCpu, subbufferBytes }) => {
    const read =
      reader === 'none'
        ? html`<a href="${relative(paths.latency(buffer))}">worst records</a>`
        : html`${reader}`;
    return html`<tr><th scope="row">${buffer}</th><td>${read}</td><td>${instance === '' ? 'top level' : instance}</td>
<td class="number">${formatBytes(bufferBytesPerCpu)}</td><td class="number">${formatBytes(subbufferBytes)}</td></tr>`;
  });
  return html`<section class="card"><h2 id="buffers">Buffers</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="buffers"><table>
<thead><tr><th scope="col">Buffer</th><th scope="col">Read as</th><th scope="col">Instance</th>
<th scope="col" class="number">Per CPU</th><th scope="col" class="number">Sub-buffer</th></tr></thead>
<tbody>${rows}</tbody></table></div></section>`;
}

function costCard({ cost, tickMs, budget }: CaptureStatus): Html {
  const each =
    cost.events > 0
      ? `${formatCount(Math.round((cost.cpuSeconds / cost.events) * 1e9))} ns`
      : 'no events yet';
  return facts('Own cost', [
    ['CPU time of the capture thread', formatSeconds(cost.cpuSeconds)],
    ['Events processed', formatCount(cost.events)],
    ['CPU time per event', each],
    ['Reads the buffers every', formatDuration(tickMs)],
    ['Budget', budget === undefined ? 'none' : budgetInWords(budget)],
  ]);
}

function budgetInWords({ cores, usedCores, windowSeconds, suspended }: BudgetStatus): string {
  const used = `${formatShare(usedCores)} of a core used within ${windowSeconds} s, ${formatShare(cores)} allowed`;
  const names = suspended.map(({ probe }) => probe).join(', ');
  return names === '' ? used : `${used}; suspended: ${names}`;
}

function machineCard(capture: CaptureStatus): Html {
  return facts('Capture', [
    ['Source', capture.source],
    ['Kernel', capture.kernelRelease],
    ['Machine', capture.machine],
    ['CPUs', String(capture.cpus)],
    ['Trace clock', capture.clock],
    ['Reader', capture.reader],
    ['Instance', capture.instance],
    ['tracefs', capture.tracefs],
  ]);
}

function facts(title: string, list: readonly (readonly [string, string])[]): Html {
  const items = list.map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value === '' ? '–' : value}</dd></div>`,
  );
  return html`<section class="card"><h2>${title}</h2><dl>${items}</dl></section>`;
}
