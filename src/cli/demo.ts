/**
 * For `--demo-if-unavailable`: checks whether a kernel can be traced here, and finds the bundled recording that
 * replaces it.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config/schema.ts';
import { errnoOf, KernelError } from '../model/errors.ts';
import { findTracefs } from '../tracefs/mount.ts';
import { packageFile } from './version.ts';

/** Why nothing can be traced here; undefined when tracefs is available and instances can be made in it. */
export function whyNoTracing(config: AgentConfig): string | undefined {
  try {
    const root = findTracefs({ path: config.tracefsPath, mayMount: true });
    const instances = join(root, 'instances');
    try {
      accessSync(instances, constants.W_OK);
    } catch (error) {
      return `cannot make an instance in ${instances}: ${errnoOf(error)}`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
}

/** Path of the bundled recording. Throws, with `reason` in the message, when the package does not contain it. */
export function demoCapture(reason: string): string {
  const file = packageFile('captures/demo.dat');
  if (existsSync(file)) return file;
  throw new Error(`${reason}; and the demo is not available: this package does not contain ${file}`);
}
