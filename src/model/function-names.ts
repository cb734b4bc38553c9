/**
 * Looks up names of kernel functions by address. An address is two 32-bit words, as in records. The text reader has no
 * addresses and uses its own numbers instead.
 */
export interface FunctionNames {
  /**
   * Returns the name of the function that begins at this address or a few bytes before it, because tracers hook in a
   * few bytes after the start. Returns undefined if unknown. Too slow for the hot path.
   */
  nameOf(low: number, high: number): string | undefined;
  /** Changes when names may have changed because a module was loaded or removed. Earlier results are then invalid. */
  readonly generation: number;
  /** True if `nameOf` expects the text reader's numbers instead of addresses. */
  readonly isOfText?: true;
  /** Returns the given names that no kernel function has any longer. Absent if the list of functions is unknown. */
  missing?(names: Iterable<string>): string[];
}

/**
 * Returns the names, or the reason why there are none. `start`: the addresses are the places where tracers hook into a
 * function. `inside`: the addresses lie anywhere in a function.
 */
export type FunctionLookup = (place: 'start' | 'inside') => FunctionNames | { reason: string };

/** Used by plans whose records this process does not read, such as the plan of a recording. */
export const NAMELESS: FunctionNames = { nameOf: () => undefined, generation: 0 };
