/** Programs that some tests check against and that a machine need not have. */
import { spawnSync } from 'node:child_process';

/**
 * Reason to skip a test whose program is missing, false when it is there. In continuous integration nothing is left
 * out: there a missing program is an error.
 */
export function skipWithout(program: string, debianPackage: string): string | false {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
  if (error === undefined) return false;
  const reason = `${program} is not installed: apt-get install ${debianPackage}`;
  if (process.env.CI) throw new Error(reason);
  return reason;
}
