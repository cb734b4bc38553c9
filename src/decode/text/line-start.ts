/** Whether a line begins at a place, as far as the text goes: for strings that can hold newlines. */
import { newPrefix, parsePrefix } from './prefix.ts';
import { parseLoss } from './side-lines.ts';

const prefix = newPrefix();
const side = { cpu: 0, lost: 0 };

export function looksLikeLine(bytes: Uint8Array, pos: number, end: number): boolean {
  if (pos >= end) return true;
  if (bytes[pos] === 0x20) return parsePrefix(bytes, pos, end, prefix) >= 0;
  return parseLoss(bytes, pos, end, side) >= 0;
}
