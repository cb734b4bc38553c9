/**
 * Decodes the operation of a block request from the field `rwbs`. The kernel writes this field in blk_fill_rwbs()
 * (kernel/trace/blktrace.c). `rwbs` consists of an optional `F` (flush first), a letter for the operation (R, W, D, F
 * or another letter), and the flags F, A, S and M.
 */

/** Values of the label `operation`, by operation number. */
export const OPERATIONS: readonly string[] = ['read', 'write', 'flush', 'discard', 'other'];
export const READ = 0;
export const WRITE = 1;
export const FLUSH = 2;
export const DISCARD = 3;
export const OTHER = 4;

const F = 0x46;

/** Returns the operation number. The text of `rwbs` is in `bytes`, from `start` up to but not including `end`. */
export function operationOf(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return OTHER;
  const first = bytes[start];
  if (first !== F) return byLetter(first);
  const second = start + 1 < end ? bytes[start + 1] : 0;
  // `F` and `FS` are flushes. `FW…` is a write before which the disk flushes its cache.
  const operation = byLetter(second);
  return operation === OTHER && (second === 0 || second === 0x53) ? FLUSH : operation;
}

function byLetter(letter: number): number {
  if (letter === 0x52) return READ;
  if (letter === 0x57) return WRITE;
  if (letter === F) return FLUSH;
  return letter === 0x44 ? DISCARD : OTHER;
}
