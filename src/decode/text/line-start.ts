/**
 * Whether a line begins at a place, as far as the text goes: for strings that can hold newlines. One that is broken
 * further on is a line, too, and no part of the string.
 */
import { isLikePrefix } from './prefix.ts';
import { parseLoss } from './side-lines.ts';

const side = { cpu: 0, lost: 0 };

export function looksLikeLine(bytes: Uint8Array, pos: number, end: number): boolean {
  if (pos >= end) return true;
  if (bytes[pos] === 0x20) return isLikePrefix(bytes, pos, end);
  return parseLoss(bytes, pos, end, side) >= 0;
}
