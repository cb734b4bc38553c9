/** Renders how many events were read and lost, by buffer and by CPU. */
import type { LossReport } from '../../model/status.ts';
import { type Html, html } from './html.ts';
import { formatCount, formatShare } from './units.ts';

type Counts = Omit<LossReport, 'buffer' | 'cpu'>;

const COLUMNS: readonly (readonly [keyof Counts, string])[] = [
  ['read', 'Read'],
  ['overrun', 'Overrun'],
  ['commitOverrun', 'Commit overrun'],
  ['dropped', 'Dropped'],
  ['taken', 'Taken by other readers'],
  ['cleared', 'Times emptied'],
  ['paused', 'Times interrupted'],
];
const NONE: Counts = { read: 0, overrun: 0, commitOverrun: 0, dropped: 0, taken: 0, cleared: 0, paused: 0 };

export function lossCard(reports: readonly LossReport[]): Html {
  if (reports.length === 0) {
    return html`<section class="card"><h2>Events read and lost</h2><p>No buffer is being read.</p></section>`;
  }
  const totals = [...totalsByBuffer(reports)];
  const lost = totals.reduce((sum, [, counts]) => sum + lostOf(counts), 0);
  const gaps = totals.reduce((sum, [, { cleared, paused }]) => sum + cleared + paused, 0);
  const interrupted = html`<p class="warn">Another user emptied a buffer or interrupted its recording: the events
of that time are missing, and their number is unknown.</p>`;
  const verdict =
    lost === 0
      ? gaps > 0
        ? interrupted
        : html`<p class="good">Nothing lost.</p>`
      : html`<p class="warn">${formatCount(lost)} events lost: counts are too low by this number, and rates are too low.
Operations whose events were lost have no duration.</p>`;
  const byBuffer = totals.map(([buffer, counts]) => row(html`<th scope="row">${buffer}</th>`, counts));
  const byCpu = reports.map((report) =>
    row(html`<th scope="row">${report.buffer}</th><td class="number">${report.cpu}</td>`, report),
  );
  return html`<section class="card"><h2>Events read and lost</h2>${verdict}
${table('Sums of all CPUs since the start', ['Buffer'], byBuffer)}
<details><summary>By CPU</summary>${table('Since the start, by CPU', ['Buffer', 'CPU'], byCpu)}</details></section>`;
}

function totalsByBuffer(reports: readonly LossReport[]): Map<string, Counts> {
  const totals = new Map<string, Counts>();
  for (const report of reports) {
    const { buffer } = report;
    const sum = totals.get(buffer) ?? { ...NONE };
    for (const [name] of COLUMNS) sum[name] += report[name];
    totals.set(buffer, sum);
  }
  return totals;
}

function lostOf(counts: Counts): number {
  return counts.overrun + counts.commitOverrun + counts.dropped + counts.taken;
}

function table(caption: string, keys: readonly string[], rows: readonly Html[]): Html {
  const heads = keys.map((key) =>
    key === 'CPU' ? html`<th scope="col" class="number">${key}</th>` : html`<th scope="col">${key}</th>`,
  );
  const counts = [...COLUMNS.map(([, title]) => title), 'Lost'].map(
    (name) => html`<th scope="col" class="number">${name}</th>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption>${caption}</caption><thead><tr>${heads}${counts}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function row(key: Html, counts: Counts): Html {
  const lost = lostOf(counts);
  const share = lost === 0 ? '0 %' : formatShare(lost / (lost + counts.read));
  const numbers = COLUMNS.map(([name]) => html`<td class="number">${formatCount(counts[name])}</td>`);
  return html`<tr>${key}${numbers}<td class="${lost === 0 ? 'number' : 'number warn'}">${share}</td></tr>`;
}
