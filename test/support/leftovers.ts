/** Instances that test runs left in tracefs because they were killed. Their names hold the pid of the test file. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { findTracefs } from '../../src/tracefs/mount.ts';

/** Removes them. The kernel keeps an instance that a process has open; that is an error, which names it. */
export function removeLeftovers(): void {
  const instances = join(findTracefs({ mayMount: true }), 'instances');
  for (const name of readdirSync(instances)) {
    const pid = /^ftx-.*?-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    console.error(`removing ${join(instances, name)}: test process ${pid}, which made it, has ended`);
    rmdirSync(join(instances, name));
  }
}
