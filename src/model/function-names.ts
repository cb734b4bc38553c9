/**
 * Names of kernel functions by address. Addresses come as two 32-bit words, as records hold them; where text is read,
 * they are numbers that stand for names.
 */
export interface FunctionNames {
  /**
   * Name of the function that begins here or a few bytes before, where tracers are called; undefined where it is not
   * known. Not for the hot path.
   */
  nameOf(low: number, high: number): string | undefined;
  /** Changes when names may have changed (a module came or went): what was found before is void. */
  readonly generation: number;
}
