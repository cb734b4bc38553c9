/**
 * Looks up names of kernel functions by address. An address is two 32-bit words, as in records. The text reader has no
 * addresses and uses its own numbers instead.
 */
export interface FunctionNames {
  /**
   * Returns the name of the function that begins at this address or a few bytes before it. Tracers record an
   * address a few bytes after the start of the function, because their hook is there. Returns undefined if
   * unknown. Too slow for the hot path.
   */
  nameOf(low: number, high: number): string | undefined;
  /**
   * Changes when a module may have been loaded or removed. Results of `nameOf` from before the change are
   * then invalid.
   */
  readonly generation: number;
  /** True if `nameOf` expects the text reader's numbers instead of addresses. */
  readonly isOfText?: true;
  /**
   * Returns those of the given names that no longer belong to any kernel function. Absent if the list of
   * functions is unknown.
   */
  missing?(names: Iterable<string>): string[];
}

/**
 * Returns the names, or the reason why none are available. `start`: looks up addresses at or just after the
 * start of a function. `inside`: looks up addresses anywhere in a function.
 */
export type FunctionLookup = (place: 'start' | 'inside') => FunctionNames | { reason: string };

/**
 * Knows no names. Used if this process does not decode the records, for example while it only records them.
 */
export const NAMELESS: FunctionNames = { nameOf: () => undefined, generation: 0 };
