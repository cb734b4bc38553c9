/**
 * Looks up names of kernel functions by address. An address is two 32-bit words, as in records. Trace text contains no
 * addresses. The text decoder uses its own numbers instead (see decode/text/function-interner.ts).
 */
export interface FunctionNames {
  /** Returns the name of the function at this address, or undefined if unknown. Too slow for the hot path. */
  nameOf(low: number, high: number): string | undefined;
  /**
   * Changes when a module may have been loaded or removed. Results of `nameOf` from before the change are then invalid.
   */
  readonly generation: number;
  /** True if `nameOf` expects numbers of the text decoder instead of addresses. */
  readonly isOfText?: true;
  /**
   * Returns those of the given names that no longer belong to any kernel function. Absent if the list of functions is
   * unknown.
   */
  missing?(names: Iterable<string>): string[];
}

/**
 * Returns the names, or the reason why none are available. `start`: `nameOf` accepts addresses within a few bytes of a
 * function's start, because the hooks of tracers are there. `inside`: `nameOf` accepts addresses anywhere in a
 * function.
 */
export type FunctionLookup = (place: 'start' | 'inside') => FunctionNames | { reason: string };

/** Contains no names. Used by a process that does not decode trace data, for example while it makes a recording. */
export const NAMELESS: FunctionNames = { nameOf: () => undefined, generation: 0 };
