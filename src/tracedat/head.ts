/** Reads a file's first bytes, and recognises trace.dat files. */
import { closeSync, fstatSync } from 'node:fs';
import { UsageError } from '../model/errors.ts';
import { openFile, READ_AT_ONCE, readAt } from './file-io.ts';
import { MAGIC } from './trace-dat.ts';

const HEAD_BYTES = 1 << 16;

/** Returns up to 64 KiB. Throws `KernelError` if the file can't be read, `UsageError` for a pipe or a device. */
export function headOf(file: string): Uint8Array {
  const fd = openFile(file, READ_AT_ONCE);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() && !stats.isDirectory()) {
      throw new UsageError(
        `${file} is a pipe or a device: replay reads a recording twice, so save it to a file and replay that`,
      );
    }
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readAt(fd, file, head, 0));
  } finally {
    closeSync(fd);
  }
}

export function isTraceDat(head: Uint8Array): boolean {
  return Buffer.from(head).toString('latin1', 0, MAGIC.length) === MAGIC;
}
