/**
 * Parses an event's `format` file (kernel/trace/trace_events.c, f_show()). In a declaration, the brackets of an array
 * can precede the name.
 */
import type { EventFormat, FieldFormat } from '../model/format.ts';

const FIELD =
  /^\s*field(?:\s+special)?\s*:\s*(.+?)\s*;\s*offset:\s*(\d+)\s*;\s*size:\s*(\d+)\s*;(?:\s*signed:\s*([01])\s*;)?\s*$/;
const PRINT_FMT = /^print fmt:[ \t]*/m;
const FUNCTION_POINTER = /^(.*?)\(\s*\*\s*(?:const\s+)?([A-Za-z_]\w*)\s*\)\s*(\(.*\))$/;
const LOCATION = /^__(data|rel)_loc\b/;
/** Matches signed types, for kernels that don't print `signed:`. */
const SIGNED = /\b(?:int|long|short|signed|s8|s16|s32|s64|__s\d+|int\d+_t|pid_t|ssize_t|l?off_t|time64_t)\b/;
const MAX_ID = 0xffff;

/** Returns the format, or an error such as `has no fields`. */
export function parseFormat(system: string, text: string): EventFormat | { error: string } {
  const print = PRINT_FMT.exec(text);
  const head = print === null ? text : text.slice(0, print.index);
  const printFmt = print === null ? '' : text.slice(print.index + print[0].length).trimEnd();
  const name = /^name:[ \t]*(\S+)[ \t]*$/m.exec(head)?.[1];
  if (name === undefined) return { error: 'has no line "name: …"' };
  const id = Number(/^ID:[ \t]*(\d+)[ \t]*$/m.exec(head)?.[1] ?? Number.NaN);
  if (Number.isNaN(id)) return { error: 'has no line "ID: …"' };
  if (id > MAX_ID) return { error: `has ID ${id}, more than 16 bits` };
  const fields = parseFields(head);
  if ('error' in fields) return fields;
  if (fields.length === 0) return { error: 'has no fields' };
  return { system, name, id, fields, printFmt };
}

/** Parses all `field:…` lines and ignores other lines. Returns an error if a `field:…` line is malformed. */
export function parseFields(text: string): FieldFormat[] | { error: string } {
  const fields: FieldFormat[] = [];
  for (const line of text.split('\n')) {
    if (!/^\s*field\b/.test(line)) continue;
    const field = parseField(line);
    if (field === undefined) return { error: `has a field that cannot be understood: ${quoted(line)}` };
    fields.push(field);
  }
  return fields;
}

function parseField(line: string): FieldFormat | undefined {
  const match = FIELD.exec(line);
  if (match === null) return undefined;
  const declared = parseDeclaration(match[1]);
  if (declared === undefined) return undefined;
  const [offset, size] = [Number(match[2]), Number(match[3])];
  const signed = match[4] === undefined ? looksSigned(declared.type) : match[4] === '1';
  return { ...declared, offset, size, signed };
}

/** Parses a declaration such as `unsigned long args[6]`, `char[16] name` or `void (*func)(int)`. */
function parseDeclaration(
  text: string,
): Pick<FieldFormat, 'name' | 'type' | 'array' | 'location'> | undefined {
  const pointer = FUNCTION_POINTER.exec(text);
  if (pointer !== null) {
    const type = oneSpaced(`${pointer[1]}(*)${pointer[3]}`);
    return { name: pointer[2], type, array: false, location: 'inline' };
  }
  const bare = text.replace(/\[[^\]]*\]/g, ' ');
  const match = /^(.*?)([A-Za-z_]\w*)\s*$/.exec(bare);
  const type = match === null ? '' : oneSpaced(match[1]);
  if (match === null || type === '') return undefined;
  const located = LOCATION.exec(type);
  const location = located === null ? 'inline' : located[1] === 'data' ? 'data_loc' : 'rel_loc';
  return { name: match[2], type, array: bare !== text || located !== null, location };
}

function looksSigned(type: string): boolean {
  return !/\bunsigned\b|\*/.test(type) && SIGNED.test(type);
}

function oneSpaced(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function quoted(line: string): string {
  const trimmed = line.trim();
  return JSON.stringify(trimmed.length > 120 ? `${trimmed.slice(0, 120)}…` : trimmed);
}
