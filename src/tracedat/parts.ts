/**
 * Parts that trace.dat files of versions 6 and 7 have alike: a cursor at their start enters, the page layout or the
 * formats leave. Format: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5).
 */
import { parseFormat } from '../decode/format.ts';
import type { PageLayout } from '../model/format.ts';
import type { Cursor } from './cursor.ts';
import { parseHeaderPage } from './header-page.ts';

/** Of the same kind: one would do, thousands would not help. */
export const MAX_PROBLEMS = 5;
/** Where this many formats make no sense, the file has none. */
const MAX_BAD_FORMATS = 100;

/** The layout, or what is wrong with `header_page`. Throws `Broken`. */
export function readHeaderInfo(cursor: Cursor): PageLayout | { error: string } {
  expect(cursor, 'header_page\0');
  const layout = parseHeaderPage(cursor.text(8, 'header_page'));
  if ('error' in layout) return layout;
  expect(cursor, 'header_event\0');
  cursor.skip(cursor.number(8, 'header_event'), 'header_event');
  return layout;
}

function expect(cursor: Cursor, word: string): void {
  const start = cursor.position;
  const found = cursor.bytes(word.length, word.slice(0, -1)).toString('latin1');
  if (found !== word) throw cursor.broken(start, `${word.slice(0, -1)} is not there`);
}

/** Texts of formats by `system:name`, as they are read. */
export interface Formats {
  texts: Map<string, string>;
  problems: string[];
  bad: number;
}

/** Formats of the tracers' own records. Throws `Broken`, having kept those before it. */
export function readFtraceFormats(cursor: Cursor, formats: Formats): void {
  const count = cursor.number(4, 'the number of ftrace formats');
  for (let i = 0; i < count; i++) readFormat(cursor, 'ftrace', formats);
}

/** Formats of events, system by system. Throws `Broken`, having kept those before it. */
export function readEventFormats(cursor: Cursor, formats: Formats): void {
  const systems = cursor.number(4, 'the number of systems');
  for (let s = 0; s < systems; s++) {
    const system = cursor.name('the name of a system');
    const count = cursor.number(4, `the number of formats of ${system}`);
    for (let i = 0; i < count; i++) readFormat(cursor, system, formats);
  }
}

function readFormat(cursor: Cursor, system: string, formats: Formats): void {
  const start = cursor.position;
  const text = cursor.text(8, `a format of ${system}`);
  const format = parseFormat(system, text);
  if (!('error' in format)) {
    formats.texts.set(`${system}:${format.name}`, text);
    return;
  }
  if (formats.bad++ < MAX_PROBLEMS)
    formats.problems.push(`the format of ${system} at byte ${start} ${format.error}`);
  if (formats.bad > MAX_BAD_FORMATS) throw cursor.broken(start, 'these are no formats');
}
