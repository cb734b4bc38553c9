/**
 * A program describes the lines of one event type as a list of steps: literals to match, numbers to parse, strings whose
 * end must be found. `compile-fmt.ts` makes programs, `match.ts` runs them for every line.
 */
import type { FieldFormat } from '../../model/format.ts';

/**
 * A step has four numbers; the first is one of these codes. `columns`: the width that leading spaces pad to; negative if
 * the spaces are trailing. `part`: index of the field's part that gets the value, or -1 if the value is not stored.
 */
export const STEP = 4;
/** The newline that ends the line. */
export const END = 0;
/** [at, length] of a text in `literals`. */
export const LITERAL = 1;
/** [store, where, columns]: decimal digits. */
export const DECIMAL = 2;
export const HEX = 3;
export const OCTAL = 4;
/** One byte. [store, where] */
export const CHAR = 5;
/** [maximum bytes, may contain newlines + 2 × columns, string or -1] */
export const STRING = 6;
/** [table, part, columns]: one of the table's names, or `0x…`. */
export const NAMES = 7;
/** [table, part]: any number of the table's names with its delimiter between them. Other bits follow as `0x…`. */
export const FLAGS = 8;
/** [store, where]: a function's name, which becomes a number. */
export const FUNCTION = 9;
/** Everything up to the newline: nothing after this step can contain one. */
export const TAIL = 10;

/** How an integer is stored: not at all; */
export const STORE_NOTHING = 0;
/** in one word at `where`; */
export const STORE_WORD = 1;
/** in two words; */
export const STORE_TWO_WORDS = 2;
/** in 1 or 2 bytes at byte `where`; */
export const STORE_BYTE = 3;
export const STORE_HALF = 4;
/** byte by byte, 4 or 8 of them, if they are not aligned; */
export const STORE_4_BYTES = 5;
export const STORE_8_BYTES = 6;
/** as part number `where` of a field that is printed in parts. */
export const STORE_PART = 7;

/** Names with their numbers. */
export interface NameTable {
  /** Longest first. */
  names: readonly Uint8Array[];
  values: readonly number[];
  /** Printed between names; empty if only one name can be printed. */
  delimiter: Uint8Array;
  /** Printed if there are no names. */
  none: Uint8Array;
}

/** A field that is composed from parts. */
export interface Composed {
  /** Byte offset in the scratch buffer. */
  at: number;
  size: number;
  firstPart: number;
  parts: number;
}

export interface Program {
  /**
   * A string may contain what looks like the start of another line. Must be false if that line could belong to another
   * variant: otherwise the string would swallow the following lines.
   */
  reachesOverLines: boolean;
  code: Int32Array;
  literals: Uint8Array;
  tables: readonly NameTable[];
  /** Factor of each part. */
  scales: Float64Array;
  composed: readonly Composed[];
  /** Target fields of strings, indexed by the string number of `STRING` steps. */
  strings: readonly FieldFormat[];
}
