/**
 * Cleans up after killed test runs: removes their instances in tracefs, and restores the settings of the machine that
 * their agents listed in journals. The names of instances and journals contain the pid of the test file.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTracefs } from '../../src/tracefs/mount.ts';

const BIN = fileURLToPath(new URL('../../bin/ftrace-exporter.js', import.meta.url));
const SUFFIX = '.journal.json';
/** Patterns for the journals of tests' agents. */
const JOURNALS = ['', 'ftx-*/', 'ftx-*/*/'].map((below) => join(tmpdir(), below, `ftx-*${SUFFIX}`));

/** Restores the settings and removes the instances. Throws the kernel's error if a process has an instance open. */
export function removeLeftovers(): void {
  const instances = join(findTracefs({ mayMount: true }), 'instances');
  for (const journal of globSync([`/run/ftrace-exporter/ftx-*${SUFFIX}`, ...JOURNALS])) {
    const name = basename(journal, SUFFIX);
    if (!isAbandoned(name)) continue;
    console.error(`restoring what ${journal} lists: the test process that made it has ended`);
    const flags = ['--instance', name, '--state.dir', dirname(journal)];
    spawnSync(process.execPath, [BIN, 'cleanup', ...flags], { stdio: 'inherit' });
  }
  for (const name of readdirSync(instances)) {
    if (!isAbandoned(name)) continue;
    console.error(`removing ${join(instances, name)}: the test process that made it has ended`);
    rmdirSync(join(instances, name));
  }
}

function isAbandoned(name: string): boolean {
  const pid = /^ftx-.*?-(\d+)/.exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}
