/** Skips tests that need a program which the machine lacks. */
import { spawnSync } from 'node:child_process';

/**
 * Returns the reason to skip a test whose program is missing, or false if the program exists. In continuous
 * integration, throws if the program is missing, because no test may be skipped there.
 */
export function skipWithout(program: string, debianPackage: string): string | false {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  if (error === undefined) return false;
  const reason = `${program} is not installed: apt-get install ${debianPackage}`;
  if (process.env.CI) throw new Error(reason);
  return reason;
}
