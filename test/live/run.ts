/**
 * Runs the live tests, one file at a time, where the running kernel can be traced. Where it cannot, says why, loudly,
 * and that nothing was tested here; in continuous integration that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { whyNotTraceable } from '../support/traceable.ts';

const reason = whyNotTraceable();
if (reason !== undefined) {
  console.error(`\nLIVE TESTS NOT RUN: the kernel of this machine cannot be traced: ${reason}\n`);
  process.exit(process.env.CI ? 1 : 0);
}
const here = new URL('.', import.meta.url).pathname;
const files = readdirSync(here).filter((name) => name.endsWith('.test.ts'));
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=1', ...files.map((f) => join(here, f))],
  {
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
