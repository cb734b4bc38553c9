/** Converts names, separated by white space, to a map from number to name. Numbers start at 0. */
export function namesByNumber(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  let number = 0;
  for (const word of text.trim().split(/\s+/)) {
    // A number in the text sets the number of the next name.
    if (/^\d+$/.test(word)) number = Number(word);
    else names.set(number++, word);
  }
  return names;
}
