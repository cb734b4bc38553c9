/** Names of kernel functions by address or, for text, by number (see decode/text/function-interner.ts). */
export interface FunctionNames {
  /** Returns the name, or undefined if unknown. An address is two 32-bit words. Too slow for the hot path. */
  nameOf(low: number, high: number): string | undefined;
  /** Changes when a module may have been loaded or removed. Earlier results of `nameOf` are then invalid. */
  readonly generation: number;
  /** `nameOf` expects numbers of the text decoder instead of addresses. */
  readonly isOfText?: true;
  /** Returns which of the names no longer belong to a function. Absent if the list of functions is unknown. */
  missing?(names: Iterable<string>): string[];
}

/**
 * Returns the names, or the reason why there are none. `start`: `nameOf` accepts addresses a few bytes after a
 * function's start, because the hooks of tracers are there. `inside`: `nameOf` accepts addresses anywhere in a
 * function.
 */
export type FunctionLookup = (place: 'start' | 'inside') => FunctionNames | { reason: string };

/** Contains no names. Used by processes that do not decode trace data. */
export const NAMELESS: FunctionNames = { nameOf: () => undefined, generation: 0 };
