/**
 * Names of kernel functions by address. An address is two 32-bit words, as in records; the text reader uses numbers that
 * stand for names instead.
 */
export interface FunctionNames {
  /**
   * Name of the function that begins at this address or a few bytes before it, where tracers hook in. Undefined if
   * unknown. Not for the hot path.
   */
  nameOf(low: number, high: number): string | undefined;
  /** Changes when names may have changed, because a module was loaded or removed. Earlier results are invalid then. */
  readonly generation: number;
}

/**
 * Finds the names, or says why there are none. `start`: addresses are where tracers hook into a function. `inside`: they
 * lie anywhere in it.
 */
export type FunctionLookup = (place: 'start' | 'inside') => FunctionNames | { reason: string };

/** For plans whose records nobody reads here, such as that of a recording. */
export const NAMELESS: FunctionNames = { nameOf: () => undefined, generation: 0 };
