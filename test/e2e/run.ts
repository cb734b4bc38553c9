/**
 * Runs the end-to-end tests: the agent on the running kernel, with the programs that users connect to it. If they
 * cannot run, prints a warning with the reason and that nothing was tested; in continuous integration that is a
 * failure.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../src/model/errors.ts';
import { removeLeftovers } from '../support/leftovers.ts';
import { whyNotTraceable } from '../support/traceable.ts';
import { COLLECTOR, goProgram, HELM, POD_SECURITY, PROMETHEUS } from './go-program.ts';

function whyNot(): string | undefined {
  const reason = whyNotTraceable();
  if (reason !== undefined) return `the kernel of this machine cannot be traced: ${reason}`;
  try {
    goProgram(PROMETHEUS);
    goProgram(COLLECTOR);
    goProgram(HELM);
    goProgram(POD_SECURITY);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

const reason = whyNot();
if (reason !== undefined) {
  console.error(`\nEND-TO-END TESTS NOT RUN: ${reason}\n`);
  process.exit(process.env.CI ? 1 : 0);
}
removeLeftovers();
const here = new URL('.', import.meta.url).pathname;
const files = readdirSync(here).filter((name) => name.endsWith('.test.ts'));
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=1', ...files.map((file) => join(here, file))],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
