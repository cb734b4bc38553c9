/** Looking for bytes in text. */

const NEWLINE = 0x0a;

/** Whether a text stands at a place. */
export function startsWith(bytes: Uint8Array, from: number, end: number, text: Uint8Array): boolean {
  if (from + text.length > end) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
}

/** Where the next line begins; -1 when this one has no end. */
export function lineEnd(bytes: Uint8Array, from: number, end: number): number {
  for (let pos = from; pos < end; pos++) if (bytes[pos] === NEWLINE) return pos + 1;
  return -1;
}
