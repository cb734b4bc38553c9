/** Reads the parts that trace.dat files of versions 6 and 7 share: page layout and formats. */
import { parseFormat } from '../decode/format.ts';
import type { PageLayout } from '../model/format.ts';
import type { Cursor } from './cursor.ts';
import { parseHeaderPage } from './header-page.ts';

/** Maximum number of messages per kind of problem. */
export const MAX_PROBLEMS = 5;
/** If a part has more invalid formats, it does not consist of formats. */
const MAX_BAD_FORMATS = 100;

/** Returns the page layout, or the reason why `header_page` is invalid. Throws `Broken`. */
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
  const actual = cursor.bytes(word.length, word.slice(0, -1)).toString('latin1');
  if (actual !== word) throw cursor.broken(start, `${word.slice(0, -1)} is missing`);
}

/** `texts`: format texts by `system:name`. `bad`: number of invalid formats. */
export interface Formats {
  texts: Map<string, string>;
  problems: string[];
  bad: number;
}

/** Reads the formats of the tracers' own records. If this throws `Broken`, `formats` keeps the earlier formats. */
export function readFtraceFormats(cursor: Cursor, formats: Formats): void {
  const count = cursor.number(4, 'the number of ftrace formats');
  for (let i = 0; i < count; i++) readFormat(cursor, 'ftrace', formats);
}

/** Reads the formats of events. If this throws `Broken`, `formats` keeps the earlier formats. */
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
  if (formats.bad > MAX_BAD_FORMATS) throw cursor.broken(start, 'this part does not consist of formats');
}
