/** Renders a screen of `top` as lines that fit the terminal. */
import { compact, duration, moment, rate, share } from '../../page/format.ts';
import type { TopDocument, TopRow, TopView } from './document.ts';
import { nameOf, rowsOf, SORT_KEYS, type SortKey, type TopState, viewOf } from './state.ts';

export interface ScreenOptions {
  columns: number;
  rows: number;
  colour: boolean;
  /** Why the agent does not answer; '' if it answers. The screen shows this text instead of the rates. */
  problem: string;
}

const NUMBER_WIDTH = 11;
/** Number of lines that are not rows of the table: title, rates, views, an empty line, the header, the keys. */
export const OTHER_LINES = 6;
const KEYS = '1-9 view  s sort  r reverse  / filter  p pause  q quit';

export function renderScreen(document: TopDocument, state: TopState, options: ScreenOptions): string[] {
  const { columns, rows, colour } = options;
  const paint = (code: number, text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const view = viewOf(document, state);
  const room = Math.max(1, rows - OTHER_LINES);
  const all = rowsOf(view, state);
  const offset = Math.min(state.offset, Math.max(0, all.length - room));
  const body = all.slice(offset, offset + room).map((row) => fit(rowText(view, row, columns), columns));
  const problem = options.problem || (document.ready ? '' : `not ready: ${document.reason}`);
  const head = fit(
    `ftrace-exporter top  ${document.url}  ${timeText(document)}${state.paused ? '  PAUSED' : ''}`,
    columns,
  );
  const lost = document.events_lost ?? 0;
  const filter =
    state.typing || state.filter !== '' ? `filter: ${clean(state.filter)}${state.typing ? '_' : ''}  ` : '';
  const counted = all.length > room ? `  ${offset + 1}-${offset + body.length} of ${all.length}` : '';
  const lines = [
    paint(1, head),
    problem === '' ? fit(ratesText(document), columns) : paint(31, fit(clean(problem), columns)),
    fit(viewsText(document, view), columns),
    '',
    paint(7, fit(headText(view, state.sort, columns), columns).padEnd(columns)),
    ...body,
  ];
  if (lost > 0 && problem === '') lines[1] = paint(31, fit(ratesText(document), columns));
  if (body.length === 0) lines.push('no data in the last seconds');
  while (lines.length < rows - 1) lines.push('');
  lines.length = Math.max(1, rows - 1);
  return [...lines, paint(2, fit(`${filter}${KEYS}${counted}`, columns))];
}

/** Renders all views one below the other, for `--once`. */
export function renderText(document: TopDocument, state: TopState, columns: number): string {
  const parts = [
    timeText(document) + (document.ready ? '' : `  not ready: ${clean(document.reason)}`),
    ratesText(document),
  ];
  for (const view of document.views) {
    const rows = rowsOf(view, state).map((row) => rowText(view, row, columns));
    parts.push('', view.title, headText(view, state.sort, columns), ...rows);
  }
  return parts.map((line) => line.trimEnd()).join('\n');
}

function timeText({ time, axis, source, seconds }: TopDocument): string {
  if (source === 'replay') return `recording of ${duration(seconds)}`;
  return time === null ? 'no data yet' : `${moment(time, axis)}, last ${duration(Math.round(seconds))}`;
}

function ratesText({ events_per_second: events, events_lost: lost, agent_cpu: cpu }: TopDocument): string {
  const value = (number: number | null, text: (number: number) => string) =>
    number === null ? '-' : text(number);
  return `${value(events, compact)} events/s  ${value(lost, compact)} lost  agent ${value(cpu, share)} of a CPU`;
}

function viewsText({ views }: TopDocument, current: TopView): string {
  return views
    .map((view, i) => (view === current ? `[${i + 1} ${view.title}]` : `${i + 1} ${view.title}`))
    .join('  ');
}

function headText(view: TopView, sort: SortKey, columns: number): string {
  const titles: Readonly<Record<SortKey, string>> = {
    name: view.by.join(' '),
    per_second: '/s',
    busy: 'time/s',
    p50: 'p50',
    p99: 'p99',
  };
  const title = (key: SortKey) => (key === sort ? `${titles[key]}*` : titles[key]);
  const keys =
    view.kind === 'histogram' ? SORT_KEYS.filter((key) => key !== 'name') : (['per_second'] as const);
  return layout(title('name'), keys.map(title), columns);
}

function rowText({ kind, unit }: TopView, row: TopRow, columns: number): string {
  const time = (seconds: number | null) => (seconds === null ? '-' : duration(seconds));
  const numbers =
    kind === 'histogram'
      ? [time(row.busy), compact(row.per_second), time(row.p50), time(row.p99)]
      : [rate(row.per_second, unit)];
  return layout(clean(nameOf(row)), numbers, columns);
}

/** Formats a row: the numbers at a fixed width, the name in the rest of the line. */
function layout(name: string, numbers: readonly string[], columns: number): string {
  const width = Math.max(10, columns - numbers.length * NUMBER_WIDTH);
  return fit(name, width - 1).padEnd(width) + numbers.map((text) => text.padStart(NUMBER_WIDTH)).join('');
}

function fit(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text;
}

/** Replaces characters with which a name could send commands to the terminal or reorder the text. */
function clean(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
