/**
 * Compiles an event's print fmt into the steps that read its lines: which fields are wanted in, a program out. What
 * the text does not tell about a wanted field is an error, with the reason: the probe that wants it cannot have it.
 */
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { fieldsRead, type Meaning, meaningOf, type Part, WHOLE } from './expression.ts';
import { type Conversion, type Piece, piecesOf } from './printf.ts';
import * as steps from './program.ts';
import type { RecordPlace } from './scratch.ts';

/** A string that is no field of a fixed size ends within this many bytes, or the line is no good. */
const LONGEST_STRING = 4096 + 256;
/** Names, bitmasks, addresses: none is longer, unless it is an array that is printed in full. */
const LONGEST_WORD = 8192;

export interface CompileInput {
  format: EventFormat;
  /** Fields to fill in; common ones are passed over. */
  fields: readonly string[];
  /** What is printed, where that is not the format's own print fmt. */
  printFmt?: string;
  /** One of several: it must match to the end of the line. */
  isVariant?: boolean;
  /** Fields that it does not tell are 0, as where another variant tells more. */
  lacksZeroes?: boolean;
  /** Strings that hold no newline: they do not come from programs. */
  oneLine?: readonly string[];
  place: RecordPlace;
}

/** Throws an `Error` with the reason, without the event's name. */
export function compileFmt(input: CompileInput): steps.Program {
  const { format, fields, printFmt = format.printFmt, place } = input;
  const { isVariant = false, lacksZeroes = false, oneLine = [] } = input;
  const wanted = new Map<string, FieldFormat>();
  for (const field of format.fields) {
    if (fields.includes(field.name) && !isCommon(field.name)) wanted.set(field.name, field);
  }
  let pieces: Told[];
  try {
    pieces = piecesOf(printFmt).map((piece) => tellingOf(piece, format, oneLine));
  } catch (error) {
    // Where nothing is wanted, its end is all there is to find.
    if (wanted.size > 0) throw error;
    pieces = [];
  }
  const used = new Set<Told>();
  const composed: Array<{ field: FieldFormat; parts: Told[] }> = [];
  for (const field of wanted.values()) {
    const how = lacksZeroes && !isTold(field, pieces) ? [] : howToFill(field, pieces);
    for (const told of how) used.add(told);
    if (how.length !== 1 || !fillsAtOnce(how[0])) composed.push({ field, parts: how });
  }
  return assemble({ pieces, used, composed, wanted, place, isVariant });
}

export function isCommon(field: string): boolean {
  return field.startsWith('common_');
}

/** A piece of the format, and what it tells. */
interface Told {
  piece: Piece;
  meaning: Meaning | undefined;
  /** Can hold any bytes, newlines too. */
  isText: boolean;
  /** The most bytes it can have. */
  most: number;
}

function tellingOf(piece: Piece, format: EventFormat, oneLine: readonly string[]): Told {
  if (piece.kind === 'literal') return { piece, meaning: undefined, isText: false, most: 0 };
  let meaning = meaningOf(piece.argument);
  const { looks } = piece;
  if (looks === 'string' && meaning.kind === 'number' && meaning.part.span === WHOLE) {
    // A `%s` of a field is the string in it, if it is an array.
    const { field } = meaning.part;
    const printed = format.fields.find((candidate) => candidate.name === field);
    const isArray = printed?.array === true || printed?.size === 0;
    meaning = isArray ? { kind: 'text', field } : { kind: 'other', mayHoldNewline: true };
  }
  if (looks === 'word' || (looks === 'string') === (meaning.kind === 'number')) {
    meaning = { kind: 'other', mayHoldNewline: looks === 'string' };
  }
  const isText =
    looks === 'string' &&
    ((meaning.kind === 'text' && !oneLine.includes(meaning.field)) ||
      (meaning.kind === 'other' && meaning.mayHoldNewline));
  return { piece, meaning, isText, most: isText ? longestOf(meaning, format) : LONGEST_WORD };
}

/** Bytes a string can have: in a field of a fixed size, its NUL not counted. */
function longestOf(meaning: Meaning, format: EventFormat): number {
  const field = format.fields.find((candidate) => candidate.name === fieldOf(meaning));
  if (field === undefined || field.location !== 'inline' || field.size === 0) return LONGEST_STRING;
  return field.size - 1;
}

/** The pieces that together give a field. */
function howToFill(field: FieldFormat, pieces: readonly Told[]): Told[] {
  const about = pieces.filter((told) => told.meaning !== undefined && fieldOf(told.meaning) === field.name);
  const text = about.find(({ meaning }) => meaning?.kind === 'text');
  if (text !== undefined) {
    if (/\bchar\b|\bu8\b/.test(field.type)) return [text];
    throw new Error(`${field.name} (${field.type}) is no string`);
  }
  if (field.array) throw new Error(`its text does not hold ${field.name} as it is recorded`);
  const whole =
    about.find(({ meaning }) => isWhole(meaning, 'number')) ??
    about.find(({ meaning }) => isWhole(meaning, 'symbol'));
  if (whole !== undefined) return [whole];
  const flags = about.find(({ meaning }) => meaning?.kind === 'flags');
  const choices = about.filter(({ meaning }) => meaning?.kind === 'choice');
  if (flags !== undefined) {
    return [flags, ...choices.filter(({ meaning }) => meaning?.kind === 'choice' && meaning.mask !== WHOLE)];
  }
  const choice = choices.find(({ meaning }) => meaning?.kind === 'choice' && meaning.mask === WHOLE);
  if (choice !== undefined) return [choice];
  const parts = about.filter(({ meaning }) => partIn(meaning) !== undefined);
  if (
    isCovered(
      field,
      parts.map(({ meaning }) => partIn(meaning) as Part),
    )
  )
    return parts;
  throw new Error(
    isTold(field, pieces)
      ? `its text tells ${field.name} only in a way that cannot be turned back`
      : `its text does not tell ${field.name}`,
  );
}

function isTold(field: FieldFormat, pieces: readonly Told[]): boolean {
  return pieces.some(
    ({ piece }) => piece.kind === 'conversion' && fieldsRead(piece.argument).includes(field.name),
  );
}

function fieldOf(meaning: Meaning): string | undefined {
  if (meaning.kind === 'other') return undefined;
  return 'part' in meaning ? meaning.part.field : meaning.field;
}

function isWhole(meaning: Meaning | undefined, kind: 'number' | 'symbol'): boolean {
  return meaning?.kind === kind && meaning.part.scale === 1 && meaning.part.span === WHOLE;
}

function partIn(meaning: Meaning | undefined): Part | undefined {
  return meaning?.kind === 'number' || meaning?.kind === 'symbol' ? meaning.part : undefined;
}

/** Whether the parts reach from the lowest value of a field to its highest, one where the other ends. */
function isCovered(field: FieldFormat, parts: readonly Part[]): boolean {
  const most = 2 ** (8 * field.size);
  let reached = 1;
  for (const part of [...parts].sort((a, b) => a.scale - b.scale)) {
    if (part.scale !== reached) return false;
    reached = Math.min(part.span, most);
  }
  return reached >= most;
}

/** A number that is stored as it is read. */
function fillsAtOnce({ piece, meaning }: Told): boolean {
  if (meaning?.kind === 'text') return true;
  return isWhole(meaning, 'number') && piece.kind === 'conversion' && piece.looks !== 'octal';
}

interface Assembly {
  pieces: readonly Told[];
  /** Pieces that fill a field. */
  used: ReadonlySet<Told>;
  composed: ReadonlyArray<{ field: FieldFormat; parts: Told[] }>;
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
  const partOfPiece = new Map<Told, number>();
  const compositions = composed.map(({ field, parts }): steps.Composed => {
    const firstPart = scales.length;
    for (const told of parts) {
      partOfPiece.set(told, scales.length);
      scales.push(partIn(told.meaning)?.scale ?? 1);
    }
    return { at: place.base + field.offset, size: field.size, firstPart, parts: parts.length };
  });
  const step = (op: number, a = 0, b = 0, c = 0) => code.push(op, a, b, c);
  const tableOf = (table: steps.NameTable) => tables.push(table) - 1;

  const storeOf = (told: Told): [number, number] => {
    const part = partOfPiece.get(told);
    if (part !== undefined) return [steps.STORE_PART, part];
    const field = used.has(told) ? wanted.get(fieldOf(told.meaning as Meaning) ?? '') : undefined;
    return field === undefined ? [steps.STORE_NOTHING, 0] : placeOf(field, place);
  };

  // Behind the last piece that is wanted, and what it ends at, the line does not matter. But where a string can hold
  // newlines, only all of the line tells where it ends.
  const needsAll = isVariant || pieces.some((told) => told.isText);
  const last = pieces.findLastIndex((told) => used.has(told));
  const isEnded = last >= 0 && pieces[last + 1]?.piece.kind === 'literal';
  const count = needsAll ? pieces.length : last + (isEnded ? 2 : 1);
  pieces.slice(0, count).forEach((told, i) => {
    const { piece, meaning } = told;
    if (piece.kind === 'literal') {
      step(steps.LITERAL, literals.length, piece.text.length);
      literals += piece.text;
      return;
    }
    const part = partOfPiece.get(told) ?? -1;
    if (used.has(told) && meaning?.kind === 'symbol')
      step(steps.NAMES, tableOf(namesTable(meaning.pairs)), part, columnsOf(piece));
    else if (used.has(told) && meaning?.kind === 'flags')
      step(steps.FLAGS, tableOf(flagsTable(meaning)), part);
    else if (used.has(told) && meaning?.kind === 'choice') {
      step(steps.NAMES, tableOf(choiceTable(meaning)), part, columnsOf(piece));
    } else if (
      piece.looks === 'decimal' ||
      piece.looks === 'hex' ||
      piece.looks === 'octal' ||
      piece.looks === 'char'
    ) {
      step(NUMBER_STEPS[piece.looks], ...storeOf(told), columnsOf(piece));
    } else if (piece.looks === 'symbol' && (isVariant || used.has(told))) {
      step(steps.FUNCTION, ...storeOf(told));
    } else {
      const field = used.has(told) && meaning?.kind === 'text' ? wanted.get(meaning.field) : undefined;
      const most = Math.max(told.most, piece.width);
      // Two strings without anything in between cannot be told apart; nor need they, when nobody wants them.
      if (i > 0 && field === undefined && isPassedString(pieces[i - 1], used)) {
        const previous = code.length - steps.STEP;
        code[previous + 1] += most;
        code[previous + 2] |= told.isText ? 1 : 0;
      } else {
        // What fills it up on the left is not part of it.
        const columns = piece.leftAligned ? 0 : piece.width;
        step(steps.STRING, most, (told.isText ? 1 : 0) + 2 * columns, field ? strings.push(field) - 1 : -1);
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

function isPassedString(told: Told, used: ReadonlySet<Told>): boolean {
  const { piece } = told;
  if (piece.kind === 'literal' || used.has(told)) return false;
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
