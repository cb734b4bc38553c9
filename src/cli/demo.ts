/**
 * For `--demo-if-unavailable`: checks whether this machine's kernel can be traced, and finds the bundled recording to
 * serve instead.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import { errnoOf, KernelError } from '../model/errors.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { packageFile } from './version.ts';

/** Why the kernel cannot be traced. Undefined if tracefs is available and instances can be created in it. */
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

/** Path of the bundled recording. If the package does not contain it, throws an error that includes `reason`. */
export function demoCapture(reason: string): string {
  const file = packageFile('captures/demo.dat');
  if (existsSync(file)) return file;
  throw new Error(`${reason}; and the demo is not available: this package does not contain ${file}`);
}
