/**
 * Files that hold lists (`set_ftrace_filter`, `set_ftrace_pid`, …): how they are opened decides whether a write adds
 * or replaces. Source: kernel/trace/ftrace.c, ftrace_regex_open().
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';
import { refusal } from './files.ts';

/** Appends each value by a write of its own; gives those the kernel says EINVAL to. Throws `KernelError`. */
export function appendValues(path: string, values: readonly string[]): string[] {
  const refused: string[] = [];
  let fd: number;
  try {
    // Without O_TRUNC the kernel adds to what is there, and applies all of it on closing, at once.
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

/** Empties a list: opening it to truncate is what does it. Throws `KernelError`. */
export function emptyList(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_TRUNC));
  } catch (error) {
    throw refusal(error, { file: path, action: 'empty' });
  }
}
