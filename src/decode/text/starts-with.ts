/** Whether a text stands at a place. */
export function startsWith(bytes: Uint8Array, from: number, end: number, text: Uint8Array): boolean {
  if (from + text.length > end) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
}
