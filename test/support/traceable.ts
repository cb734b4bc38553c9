/** Finds out whether this process can trace the running kernel. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf } from '../../src/model/errors.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';

/** Why this process cannot trace; undefined if it can. */
export function whyNotTraceable(): string | undefined {
  try {
    const instance = join(findTracefs({ mayMount: true }), 'instances', `ftrace-exporter-try-${process.pid}`);
    mkdirSync(instance);
    rmdirSync(instance);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
