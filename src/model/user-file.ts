/** Reads files that the user named. Never blocks, accepts only regular files, and limits their size. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errnoOf } from './errors.ts';

/** Maximum size of configs, certificates and keys. */
export const MAX_USER_FILE_BYTES = 1024 * 1024;

const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;
const ATTEMPTS = 3;

/** Throws an `Error` that says what is wrong, without the name of the file. */
export function openUserFile(file: string): number {
  let fd: number;
  try {
    // Without O_NONBLOCK, a FIFO could block. Without O_NOCTTY, a terminal could become our controlling terminal.
    fd = openSync(file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  } catch (error) {
    throw new Error(`${errnoOf(error)}: check the path and the permissions`);
  }
  const stats = fstatSync(fd);
  if (stats.isFile()) return fd;
  closeSync(fd);
  throw new Error(
    stats.isDirectory() ? 'EISDIR: this is a directory, not a regular file' : 'not a regular file',
  );
}

/**
 * Throws an `Error` if the file can't be opened, is not a regular file, is longer than `maxBytes`, or keeps changing.
 */
export function readUserFile(file: string, maxBytes = MAX_USER_FILE_BYTES): Buffer {
  const fd = openUserFile(file);
  try {
    for (let attempt = 1; ; attempt++) {
      const before = fstatSync(fd, { bigint: true });
      const content = contentOf(fd, maxBytes);
      const after = fstatSync(fd, { bigint: true });
      const isWhole = after.size === BigInt(content.length) && after.size === before.size;
      if (isWhole && before.mtimeNs === after.mtimeNs) return content;
      if (attempt === ATTEMPTS) throw new Error('the file keeps changing while it is being read');
    }
  } finally {
    closeSync(fd);
  }
}

function contentOf(fd: number, maxBytes: number): Buffer {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    // The file may grow, so don't rely on its size from `fstat`.
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const bytes = readSync(fd, chunk, 0, chunk.length, length);
    if (bytes === 0) return Buffer.concat(chunks, length);
    length += bytes;
    if (length > maxBytes) throw new Error(`the file is longer than ${maxBytes} bytes`);
    chunks.push(chunk.subarray(0, bytes));
  }
}
