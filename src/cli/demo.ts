/** `--demo-if-unavailable`: finds the bundled recording to serve if this kernel cannot be traced. */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import { errnoOf, KernelError } from '../model/errors.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { packageFile } from './version.ts';

/** Returns why this process cannot trace the kernel; undefined if it can create instances in tracefs. */
export function whyNoTracing(config: AgentConfig): string | undefined {
  try {
    const root = findTracefs({ path: config.tracefsPath, mayMount: true });
    const instances = join(root, 'instances');
    try {
      accessSync(instances, constants.W_OK);
    } catch (error) {
      return `cannot create an instance in ${instances}: ${errnoOf(error)}`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}

/** Returns the path of the bundled recording. If it is missing, throws an error that includes `reason`. */
export function demoCapture(reason: string): string {
  const file = packageFile('captures/demo.dat');
  if (existsSync(file)) return file;
  throw new Error(`${reason}; and the demo is not available: this package does not contain ${file}`);
}
