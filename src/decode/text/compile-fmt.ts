/**
 * Compiles an event's print fmt into a program that reads the wanted fields from the event's lines. *Wanted* fields are
 * those that a probe reads.
 */

import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { type Meaning, WHOLE } from './expression.ts';
import {
  fieldOf,
  howToFill,
  isPrinted,
  isWhole,
  type PrintedPiece,
  partIn,
  printedPiece,
} from './printed-pieces.ts';
import { type Conversion, piecesOf } from './printf.ts';
import * as steps from './program.ts';
import type { RecordPlace } from './scratch.ts';

export interface CompileInput {
  format: EventFormat;
  /** Names of the wanted fields. Common fields (`common_…`) are ignored. */
  fields: readonly string[];
  /** Wanted fields with addresses of functions. The text must contain the functions' names. */
  addresses?: readonly string[];
  /** Print fmt to use instead of the format's own. */
  printFmt?: string;
  /** The event has several print fmts (variants): the program must match the whole line. */
  isVariant?: boolean;
  /** Set wanted fields to 0 if this print fmt does not contain them. Otherwise, they cause an error. */
  lacksZeroes?: boolean;
  /** Names of string fields that never contain a newline. */
  oneLine?: readonly string[];
  place: RecordPlace;
}

/** Compiles a print fmt. Throws an `Error` with the reason if a wanted field can't be read. */
export function compileFmt(input: CompileInput): steps.Program {
  const { format, fields, printFmt = format.printFmt, place } = input;
  const { isVariant = false, lacksZeroes = false, oneLine = [], addresses = [] } = input;
  const wanted = new Map<string, FieldFormat>();
  for (const field of format.fields) {
    if (fields.includes(field.name) && !isCommon(field.name)) wanted.set(field.name, field);
  }
  let pieces: PrintedPiece[];
  try {
    pieces = piecesOf(printFmt).map((piece) => printedPiece(piece, format, oneLine));
  } catch (error) {
    // Without wanted fields, the program only finds the end of the line.
    if (wanted.size > 0) throw error;
    pieces = [];
  }
  const used = new Set<PrintedPiece>();
  const composed: Array<{ field: FieldFormat; parts: PrintedPiece[] }> = [];
  for (const field of wanted.values()) {
    const isAddress = addresses.includes(field.name);
    const how = lacksZeroes && !isPrinted(field, pieces) ? [] : howToFill(field, pieces, isAddress);
    for (const printed of how) used.add(printed);
    if (how.length !== 1 || !fillsAtOnce(how[0])) composed.push({ field, parts: how });
  }
  return assemble({ pieces, used, composed, wanted, place, isVariant });
}

export function isCommon(field: string): boolean {
  return field.startsWith('common_');
}

/** Whether one step can store the whole field from this piece. */
function fillsAtOnce({ piece, meaning }: PrintedPiece): boolean {
  if (meaning?.kind === 'text') return true;
  return isWhole(meaning, 'number') && piece.kind === 'conversion' && piece.looks !== 'octal';
}

interface Assembly {
  pieces: readonly PrintedPiece[];
  used: ReadonlySet<PrintedPiece>;
  composed: ReadonlyArray<{ field: FieldFormat; parts: PrintedPiece[] }>;
  wanted: ReadonlyMap<string, FieldFormat>;
  place: RecordPlace;
  isVariant: boolean;
}

function assemble({ pieces, used, composed, wanted, place, isVariant }: Assembly): steps.Program {
  const code: number[] = [];
  const tables: steps.NameTable[] = [];
  const scales: number[] = [];
  const strings: FieldFormat[] = [];
  let literals = '';
  const partOfPiece = new Map<PrintedPiece, number>();
  const compositions = composed.map(({ field, parts }): steps.Composed => {
    const firstPart = scales.length;
    for (const printed of parts) {
      partOfPiece.set(printed, scales.length);
      scales.push(partIn(printed.meaning)?.scale ?? 1);
    }
    return { at: place.base + field.offset, size: field.size, firstPart, parts: parts.length };
  });
  const step = (op: number, a = 0, b = 0, c = 0) => code.push(op, a, b, c);
  const tableOf = (table: steps.NameTable) => tables.push(table) - 1;

  const storeOf = (printed: PrintedPiece): [number, number] => {
    const part = partOfPiece.get(printed);
    if (part !== undefined) return [steps.STORE_PART, part];
    const field = used.has(printed) ? wanted.get(fieldOf(printed.meaning as Meaning) ?? '') : undefined;
    return field === undefined ? [steps.STORE_NOTHING, 0] : placeOf(field, place);
  };

  // The program can stop after the last used piece and the next literal, unless a string can contain newlines or the
  // event has variants.
  const needsAll = isVariant || pieces.some((printed) => printed.isText);
  const last = pieces.findLastIndex((printed) => used.has(printed));
  const isEnded = last >= 0 && pieces[last + 1]?.piece.kind === 'literal';
  const count = needsAll ? pieces.length : last + (isEnded ? 2 : 1);
  pieces.slice(0, count).forEach((printed, i) => {
    const { piece, meaning } = printed;
    if (piece.kind === 'literal') {
      step(steps.LITERAL, literals.length, piece.text.length);
      literals += piece.text;
      return;
    }
    const part = partOfPiece.get(printed) ?? -1;
    if (used.has(printed) && meaning?.kind === 'symbol')
      step(steps.NAMES, tableOf(namesTable(meaning.pairs)), part, columnsOf(piece));
    else if (used.has(printed) && meaning?.kind === 'flags')
      step(steps.FLAGS, tableOf(flagsTable(meaning)), part);
    else if (used.has(printed) && meaning?.kind === 'choice') {
      step(steps.NAMES, tableOf(choiceTable(meaning)), part, columnsOf(piece));
    } else if (
      piece.looks === 'decimal' ||
      piece.looks === 'hex' ||
      piece.looks === 'octal' ||
      piece.looks === 'char'
    ) {
      step(NUMBER_STEPS[piece.looks], ...storeOf(printed), columnsOf(piece));
    } else if (piece.looks === 'symbol' && (isVariant || used.has(printed))) {
      step(steps.FUNCTION, ...storeOf(printed));
    } else {
      const field = used.has(printed) && meaning?.kind === 'text' ? wanted.get(meaning.field) : undefined;
      const most = Math.max(printed.most, piece.width);
      // Two adjacent strings have no boundary. If neither is wanted, parse them as one string.
      if (i > 0 && field === undefined && isPassedString(pieces[i - 1], used)) {
        const previous = code.length - steps.STEP;
        code[previous + 1] += most;
        code[previous + 2] |= printed.isText ? 1 : 0;
      } else {
        // The padding of a right-aligned string is not part of the string.
        const columns = piece.leftAligned ? 0 : piece.width;
        step(
          steps.STRING,
          most,
          (printed.isText ? 1 : 0) + 2 * columns,
          field ? strings.push(field) - 1 : -1,
        );
      }
    }
  });
  step(needsAll || (count > 0 && count === pieces.length) ? steps.END : steps.TAIL);
  return {
    reachesOverLines: !isVariant,
    code: Int32Array.from(code),
    literals: Buffer.from(literals, 'latin1'),
    tables,
    scales: Float64Array.from(scales),
    composed: compositions,
    strings,
  };
}

const NUMBER_STEPS = {
  decimal: steps.DECIMAL,
  hex: steps.HEX,
  octal: steps.OCTAL,
  char: steps.CHAR,
};

function columnsOf({ width, leftAligned }: Conversion): number {
  return leftAligned ? -width : width;
}

function isPassedString(printed: PrintedPiece, used: ReadonlySet<PrintedPiece>): boolean {
  const { piece } = printed;
  if (piece.kind === 'literal' || used.has(printed)) return false;
  return piece.looks === 'string' || piece.looks === 'word' || piece.looks === 'symbol';
}

function placeOf({ offset, size }: FieldFormat, { base }: RecordPlace): [number, number] {
  const at = base + offset;
  const aligned = (at & 3) === 0;
  if (size === 8) return aligned ? [steps.STORE_TWO_WORDS, at >> 2] : [steps.STORE_8_BYTES, at];
  if (size === 4) return aligned ? [steps.STORE_WORD, at >> 2] : [steps.STORE_4_BYTES, at];
  return [size === 2 ? steps.STORE_HALF : steps.STORE_BYTE, at];
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const NOTHING = bytesOf('');

function namesTable(pairs: readonly (readonly [number, string])[]): steps.NameTable {
  const sorted = [...pairs].sort((a, b) => b[1].length - a[1].length);
  return {
    names: sorted.map(([, name]) => bytesOf(name)),
    values: sorted.map(([value]) => value),
    delimiter: NOTHING,
    none: NOTHING,
  };
}

function flagsTable(meaning: Extract<Meaning, { kind: 'flags' }>): steps.NameTable {
  const { delimiter, none, pairs } = meaning;
  return { ...namesTable(pairs), delimiter: bytesOf(delimiter), none: bytesOf(none) };
}

function choiceTable({ mask, whenSet, whenClear }: Extract<Meaning, { kind: 'choice' }>): steps.NameTable {
  const set = mask === WHOLE ? 1 : mask;
  return namesTable([
    [set, whenSet],
    [0, whenClear],
  ]);
}
