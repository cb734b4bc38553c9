/**
 * Whether a line begins at a position, as far as the available text shows. Used to end strings that can contain
 * newlines. A line that is broken further on still counts as a line.
 */
import { isLikePrefix } from './prefix.ts';
import { parseLoss } from './side-lines.ts';

const side = { cpu: 0, lost: 0 };

export function looksLikeLine(bytes: Uint8Array, pos: number, end: number): boolean {
  if (pos >= end) return true;
  if (bytes[pos] === 0x20) return isLikePrefix(bytes, pos, end);
  return parseLoss(bytes, pos, end, side) >= 0;
}
