/**
 * What a line of one event type looks like, as a list of steps that are walked for every line: literals to find,
 * numbers to read, strings to look for the end of. Made by `compile-fmt.ts`, walked by `match.ts`.
 */
import type { FieldFormat } from '../../model/format.ts';

/**
 * Steps: four numbers each, the first of them one of these. `columns`: the width that spaces in front fill up to; less
 * than 0 where they come behind.
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
/** [most bytes, may hold newlines + 2 × columns, string or -1] */
export const STRING = 6;
/** [table, part or -1, columns]: one of some names, or `0x…`. */
export const NAMES = 7;
/** [table, part or -1]: any number of names with a delimiter in between. */
export const FLAGS = 8;
/** [store, where]: name of a function, which becomes a number. */
export const FUNCTION = 9;
/** All up to the newline: nothing behind can hold one. */
export const TAIL = 10;

/** How an integer is stored: not at all; */
export const STORE_NOTHING = 0;
/** in a word, at `where`; */
export const STORE_WORD = 1;
/** in two words; */
export const STORE_TWO_WORDS = 2;
/** in 1 or 2 bytes at byte `where`; */
export const STORE_BYTE = 3;
export const STORE_HALF = 4;
/** byte by byte, 4 or 8 of them, where they are not aligned; */
export const STORE_4_BYTES = 5;
export const STORE_8_BYTES = 6;
/** as part number `where` of a field that is printed in parts. */
export const STORE_PART = 7;

/** Names with their numbers. */
export interface NameTable {
  /** Longest first. */
  names: readonly Uint8Array[];
  values: readonly number[];
  /** Between names; empty where one name is all. */
  delimiter: Uint8Array;
  /** Printed instead of no names. */
  none: Uint8Array;
}

/** A field that is put together from parts. */
export interface Composed {
  /** Byte offset in the scratch buffer. */
  at: number;
  size: number;
  firstPart: number;
  parts: number;
}

export interface Program {
  /**
   * A string may reach over what looks like the start of another line. Where the line can be one of another variant, it
   * must not: it would take the lines behind it for a part of the string.
   */
  reachesOverLines: boolean;
  code: Int32Array;
  literals: Uint8Array;
  tables: readonly NameTable[];
  /** Factor of each part. */
  scales: Float64Array;
  composed: readonly Composed[];
  /** Fields that strings go to, in the order of `STRING` steps' numbers. */
  strings: readonly FieldFormat[];
}
