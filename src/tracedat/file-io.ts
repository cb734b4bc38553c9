/** Reads and writes files of recordings. Continues after short reads and writes. Throws `KernelError`. */
import { constants, openSync, readSync, writeSync } from 'node:fs';
import { errnoOf, KernelError } from '../model/errors.ts';

/** Flags to open a file for reading. Without O_NONBLOCK, opening a pipe would block until the pipe has a writer. */
export const READ_AT_ONCE = constants.O_RDONLY | constants.O_NONBLOCK;

export function openFile(file: string, flags: string | number): number {
  try {
    return openSync(file, flags);
  } catch (error) {
    throw refused(error, file, typeof flags === 'number' ? 'open' : 'create');
  }
}

export function writeAll(fd: number, file: string, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
    } catch (error) {
      throw refused(error, file, 'write');
    }
  }
}

/** Returns the number of bytes read; less than `into.length` only at the end of the file. */
export function readAt(fd: number, file: string, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    try {
      const read = readSync(fd, into, done, into.length - done, position + done);
      if (read === 0) break;
      done += read;
    } catch (error) {
      throw refused(error, file, 'read');
    }
  }
  return done;
}

export function refused(error: unknown, file: string, action: string): KernelError {
  const errno = errnoOf(error);
  const remedies: Record<string, string> = {
    ENOSPC: 'the disk is full: record for a shorter time, or to another place',
    EDQUOT: 'the disk quota is used up: record for a shorter time, or to another place',
    EROFS: 'choose a file in a writable directory',
    EACCES: 'choose another file, or run as a user who may access it',
    ENOENT: action === 'create' ? 'make its directory first' : 'check the name',
    EISDIR: 'choose a file, not a directory',
  };
  const remedy = remedies[errno];
  return new KernelError({ file, errno, action, remedy });
}
