/**
 * Which pieces of a print fmt give a field, and how: the pieces of the format in, those that fill a field out. What the
 * text does not hold about a field is an error, with the reason.
 */
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { fieldsRead, type Meaning, meaningOf, type Part, WHOLE } from './expression.ts';
import type { Piece } from './printf.ts';

/** A string that is no field of a fixed size ends within this many bytes, or the line is no good. */
const LONGEST_STRING = 4096 + 256;
/** Names, bitmasks, addresses: none is longer, unless it is an array that is printed in full. */
const LONGEST_WORD = 8192;

/** A piece of the format, and what it tells. */
export interface PrintedPiece {
  piece: Piece;
  meaning: Meaning | undefined;
  /** Can hold any bytes, newlines too. */
  isText: boolean;
  /** The most bytes it can have. */
  most: number;
}

export function printedPiece(piece: Piece, format: EventFormat, oneLine: readonly string[]): PrintedPiece {
  if (piece.kind === 'literal') return { piece, meaning: undefined, isText: false, most: 0 };
  let meaning = meaningOf(piece.argument);
  const { looks } = piece;
  if (looks === 'string' && meaning.kind === 'number' && meaning.part.span === WHOLE) {
    // A `%s` of a field is the string in it, if it is an array.
    const { field } = meaning.part;
    const printedField = format.fields.find((candidate) => candidate.name === field);
    const isArray = printedField?.array === true || printedField?.size === 0;
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
export function howToFill(field: FieldFormat, pieces: readonly PrintedPiece[]): PrintedPiece[] {
  const about = pieces.filter(
    (printed) => printed.meaning !== undefined && fieldOf(printed.meaning) === field.name,
  );
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
    isPrinted(field, pieces)
      ? `its text tells ${field.name} only in a way that cannot be turned back`
      : `its text does not tell ${field.name}`,
  );
}

export function isPrinted(field: FieldFormat, pieces: readonly PrintedPiece[]): boolean {
  return pieces.some(
    ({ piece }) => piece.kind === 'conversion' && fieldsRead(piece.argument).includes(field.name),
  );
}

export function fieldOf(meaning: Meaning): string | undefined {
  if (meaning.kind === 'other') return undefined;
  return 'part' in meaning ? meaning.part.field : meaning.field;
}

export function isWhole(meaning: Meaning | undefined, kind: 'number' | 'symbol'): boolean {
  return meaning?.kind === kind && meaning.part.scale === 1 && meaning.part.span === WHOLE;
}

export function partIn(meaning: Meaning | undefined): Part | undefined {
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
