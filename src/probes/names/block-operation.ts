/**
 * Decodes the operation of a block request from the field `rwbs` (blk_fill_rwbs() in kernel/trace/blktrace.c): an
 * optional `F` (flush first), a letter for the operation, and flags.
 */

/** Label values by operation number. */
export const OPERATIONS: readonly string[] = ['read', 'write', 'flush', 'discard', 'other'];
export const READ = 0;
export const WRITE = 1;
export const FLUSH = 2;
export const DISCARD = 3;
export const OTHER = 4;

const F = 0x46;

/** Returns the operation number. The text is in bytes `start` to `end` (exclusive). */
export function operationOf(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return OTHER;
  const first = bytes[start];
  if (first !== F) return byLetter(first);
  const second = start + 1 < end ? bytes[start + 1] : 0;
  // `F` and `FS` are flushes. `FW…` is a write after a flush.
  const operation = byLetter(second);
  return operation === OTHER && (second === 0 || second === 0x53) ? FLUSH : operation;
}

function byLetter(letter: number): number {
  if (letter === 0x52) return READ;
  if (letter === 0x57) return WRITE;
  if (letter === F) return FLUSH;
  return letter === 0x44 ? DISCARD : OTHER;
}
