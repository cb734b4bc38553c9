/** Writes control files that contain lists. The flags of open() decide whether a write appends or replaces. */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';
import { refusal } from './files.ts';

/** Appends the values. Returns the values that the kernel refuses with EINVAL. Throws `KernelError`. */
export function appendValues(path: string, values: readonly string[]): string[] {
  const refused: string[] = [];
  let fd: number;
  try {
    // Without O_TRUNC, writes append. Lists of functions change only when the file is closed.
    fd = openSync(path, constants.O_WRONLY);
  } catch (error) {
    throw refusal(error, { file: path, action: 'open' });
  }
  try {
    for (const value of values) {
      try {
        writeSync(fd, `${value}\n`);
      } catch (error) {
        if (errnoOf(error) !== 'EINVAL') throw refusal(error, { file: path, action: 'write', value });
        refused.push(value);
      }
    }
  } finally {
    closeSync(fd);
  }
  return refused;
}

/** Empties a list by opening it with O_TRUNC. Throws `KernelError`. */
export function emptyList(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_TRUNC));
  } catch (error) {
    throw refusal(error, { file: path, action: 'empty' });
  }
}
