/** Exit status and message of failed commands: 2 for wrong usage, 1 when the machine refuses. */
import { CommanderError } from 'commander';
import { KernelError, UsageError } from '../model/errors.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Prints what a command threw on standard error, and returns the exit status. */
export function reportFailure(error: unknown): number {
  // Commander has already printed help, version or its own error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof UsageError) {
    complain(error.message);
    return EXIT_USAGE;
  }
  // A plain Error carries a message for the user. A TypeError and the like is a defect, and needs a stack trace.
  const inWords = error instanceof KernelError || (error instanceof Error && error.constructor === Error);
  complain(inWords ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_FAILED;
}

/** Prints a message for people on standard error. */
export function complain(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`ftrace-exporter: ${line}\n`);
}
