/**
 * A program describes the lines of one event type as a list of steps. `compile-fmt.ts` makes programs, and `match.ts`
 * runs them.
 */
import type { FieldFormat } from '../../model/format.ts';

/**
 * Numbers per step: a code and up to three operands, which the comments below list in brackets.
 * - `store`: one of the `STORE_…` codes, which determines what `where` means.
 * - `columns`: minimum width, negative if the padding is on the right.
 * - `part`: index of the part that gets the value (see `Composed`), or -1 if the value is not stored.
 */
export const STEP = 4;
/** The newline that ends the line. */
export const END = 0;
/** [position, length] of the literal in `Program.literals`. */
export const LITERAL = 1;
/** [store, where, columns]: decimal digits. */
export const DECIMAL = 2;
export const HEX = 3;
export const OCTAL = 4;
/** [store, where]: one byte. */
export const CHAR = 5;
/** [maximum bytes, flags, index in `strings` or -1]. Flags: 1 if the string may contain newlines, plus 2 × columns. */
export const STRING = 6;
/** [table, part, columns]: one of the table's names, or `0x…`. */
export const NAMES = 7;
/** [table, part]: names of the table, separated by the table's delimiter. Bits without a name follow as `0x…`. */
export const FLAGS = 8;
/** [store, where]: a function's name. Stores the number that the `FunctionInterner` gives the name. */
export const FUNCTION = 9;
/** Any text up to the first newline. */
export const TAIL = 10;

/** Does not store the integer. */
export const STORE_NOTHING = 0;
/** Stores the integer in the word with index `where`. */
export const STORE_WORD = 1;
/** Stores the integer in two words, from index `where`. */
export const STORE_TWO_WORDS = 2;
/** Stores the integer in the byte at `where`. */
export const STORE_BYTE = 3;
/** Stores the integer in 2 bytes, from byte `where`. */
export const STORE_HALF = 4;
// The next two store the integer from byte `where`, aligned or not.
export const STORE_4_BYTES = 5;
export const STORE_8_BYTES = 6;
/** Stores the integer as part number `where` of a composed field. */
export const STORE_PART = 7;

export interface NameTable {
  /** Longest first, because a name can begin with another name. */
  names: readonly Uint8Array[];
  values: readonly number[];
  /** Text between two names; empty if only one name is printed. */
  delimiter: Uint8Array;
  /** Text if no bit is set. */
  none: Uint8Array;
}

/** A field that is printed in parts. Its value is the sum of the parts, each multiplied by its scale. */
export interface Composed {
  /** Byte offset in the scratch buffer. */
  at: number;
  size: number;
  firstPart: number;
  parts: number;
}

export interface Program {
  /**
   * Whether a string may contain text that looks like the start of a line. If true for an event with variants, the
   * wrong variant could match several lines.
   */
  reachesOverLines: boolean;
  code: Int32Array;
  literals: Uint8Array;
  tables: readonly NameTable[];
  scales: Float64Array;
  composed: readonly Composed[];
  /** Fields of the `STRING` steps, indexed by the step's last operand. */
  strings: readonly FieldFormat[];
}
