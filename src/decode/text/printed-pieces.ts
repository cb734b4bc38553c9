/**
 * Finds the pieces of a print fmt from which a field's value can be computed. A *piece* is a literal or a conversion
 * (see printf.ts).
 */
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { fieldsRead, type Meaning, meaningOf, type Part, WHOLE } from './expression.ts';
import type { Piece } from './printf.ts';

/** Maximum bytes of a string of variable length. */
const LONGEST_STRING = 4096 + 256;
/** Maximum bytes of other output. */
const LONGEST_WORD = 8192;

export interface PrintedPiece {
  piece: Piece;
  meaning: Meaning | undefined;
  /** Whether the text can contain any bytes, including newlines. */
  isText: boolean;
  /** Maximum length of the text in bytes. */
  most: number;
}

export function printedPiece(piece: Piece, format: EventFormat, oneLine: readonly string[]): PrintedPiece {
  if (piece.kind === 'literal') return { piece, meaning: undefined, isText: false, most: 0 };
  let meaning = meaningOf(piece.argument);
  const { looks } = piece;
  if (looks === 'string' && meaning.kind === 'number' && meaning.part.span === WHOLE) {
    // If the field is a pointer, the record does not contain the string.
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

function longestOf(meaning: Meaning, format: EventFormat): number {
  const field = format.fields.find((candidate) => candidate.name === fieldOf(meaning));
  if (field === undefined || field.location !== 'inline' || field.size === 0) return LONGEST_STRING;
  return field.size - 1;
}

/**
 * Returns the pieces from which the field's value can be computed. Throws an `Error` with the reason if the text does
 * not contain the value.
 */
export function howToFill(
  field: FieldFormat,
  pieces: readonly PrintedPiece[],
  isAddress: boolean,
): PrintedPiece[] {
  const about = pieces.filter(
    (printed) => printed.meaning !== undefined && fieldOf(printed.meaning) === field.name,
  );
  const text = about.find(({ meaning }) => meaning?.kind === 'text');
  if (text !== undefined) {
    if (/\bchar\b|\bu8\b/.test(field.type)) return [text];
    throw new Error(`${field.name} (${field.type}) is not a string`);
  }
  if (field.array) throw new Error(`its text does not contain the recorded value of ${field.name}`);
  const numbers = about.filter(({ meaning }) => isWhole(meaning, 'number'));
  const whole = isAddress
    ? numbers.find(({ piece }) => piece.kind === 'conversion' && piece.looks === 'symbol')
    : (numbers[0] ?? about.find(({ meaning }) => isWhole(meaning, 'symbol')));
  if (whole !== undefined) return [whole];
  if (isAddress) throw new Error(`its text does not name the function of ${field.name}`);
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
      ? `its text shows ${field.name} only in a form that can't be converted back`
      : `its text does not contain ${field.name}`,
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

/** Whether the parts together contain the field's whole value. */
function isCovered(field: FieldFormat, parts: readonly Part[]): boolean {
  const most = 2 ** (8 * field.size);
  let reached = 1;
  for (const part of [...parts].sort((a, b) => a.scale - b.scale)) {
    if (part.scale !== reached) return false;
    reached = Math.min(part.span, most);
  }
  return reached >= most;
}
