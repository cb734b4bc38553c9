/** Recognises starts of lines, to find the ends of strings that can contain newlines. */
import { isLikePrefix } from './prefix.ts';
import { parseLoss } from './side-lines.ts';

const side = { cpu: 0, lost: 0 };

export function looksLikeLine(bytes: Uint8Array, pos: number, end: number): boolean {
  if (pos >= end) return true;
  if (bytes[pos] === 0x20) return isLikePrefix(bytes, pos, end);
  return parseLoss(bytes, pos, end, side) >= 0;
}
