/** Tables of names by number, stored as runs of consecutive numbers. */
export type NumberRuns = readonly (readonly [first: number, names: string])[];

/** Converts runs of names, separated by white space, to a map from number to name, in ascending order. */
export function namesByNumber(runs: NumberRuns): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const [first, text] of runs) {
    text
      .trim()
      .split(/\s+/)
      .forEach((name, i) => {
        names.set(first + i, name);
      });
  }
  return names;
}
