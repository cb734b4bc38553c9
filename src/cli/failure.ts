/** Prints the error of a failed command, and determines the exit status: 2 for wrong usage, 1 for other failures. */
import { CommanderError } from 'commander';
import { KernelError, UsageError } from '../model/errors.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export function reportFailure(error: unknown): number {
  // Commander has already printed the help, the version or its own error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof UsageError) {
    complain(error.message);
    return EXIT_USAGE;
  }
  // A plain Error has a message for the user. A TypeError or similar is a bug, so print its stack trace.
  const inWords = error instanceof KernelError || (error instanceof Error && error.constructor === Error);
  complain(inWords ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_FAILED;
}

export function complain(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`ftrace-exporter: ${line}\n`);
}
