/** How commands fail: what the user did wrong ends with 2, what the machine refuses with 1. */
import { CommanderError } from 'commander';
import { KernelError, UsageError } from '../model/errors.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Exit status of what a command threw, after saying on standard error what it was. */
export function reportFailure(error: unknown): number {
  // Commander has printed help, version or its complaint already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof UsageError) {
    complain(error.message);
    return EXIT_USAGE;
  }
  // A plain Error is a refusal in words; TypeErrors and their like are mistakes of ours, and want a stack.
  const inWords = error instanceof KernelError || (error instanceof Error && error.constructor === Error);
  complain(inWords ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT_FAILED;
}

/** A message for people, on standard error. */
export function complain(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`ftrace-exporter: ${line}\n`);
}
