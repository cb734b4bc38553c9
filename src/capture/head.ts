/** What kind of recording a file is: its first bytes. */
import { closeSync } from 'node:fs';
import { openFile, readAt } from './file-io.ts';
import { MAGIC } from './trace-dat.ts';

const HEAD_BYTES = 1 << 16;

/** At most 64 KiB. Throws `KernelError` when the file cannot be read. */
export function headOf(file: string): Uint8Array {
  const fd = openFile(file, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readAt(fd, file, head, 0));
  } finally {
    closeSync(fd);
  }
}

export function isTraceDat(head: Uint8Array): boolean {
  return Buffer.from(head).toString('latin1', 0, MAGIC.length) === MAGIC;
}
