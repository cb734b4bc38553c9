/**
 * Runs the live tests, one file at a time, if the running kernel can be traced. If not, prints a warning with the
 * reason and that nothing was tested; in continuous integration that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeLeftovers } from '../support/leftovers.ts';
import { whyNotTraceable } from '../support/traceable.ts';

const reason = whyNotTraceable();
if (reason !== undefined) {
  console.error(`\nLIVE TESTS NOT RUN: the kernel of this machine cannot be traced: ${reason}\n`);
  process.exit(process.env.CI ? 1 : 0);
}
removeLeftovers();
// Cache compiled code, because the tests start hundreds of processes with the same sources.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
  new URL('../../node_modules/.cache/compiled', import.meta.url),
);
const here = new URL('.', import.meta.url).pathname;
const files = readdirSync(here).filter((name) => name.endsWith('.test.ts'));
const reporters = [
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  `--test-reporter=${fileURLToPath(new URL('../support/skips-reporter.ts', import.meta.url))}`,
  '--test-reporter-destination=stderr',
];
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-concurrency=1', ...reporters, ...files.map((f) => join(here, f))],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
