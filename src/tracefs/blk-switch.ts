/**
 * Switches block tracing of disks on and off. The blk tracer records a disk while `/sys/block/DISK/trace/enable` is 1.
 * Source: kernel/trace/blktrace.c.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { withDiskOpen } from './disk-access.ts';
import { readText, tryReadText } from './files.ts';
import { globPattern } from './journal/control-forms.ts';
import type { JournalPart } from './journal/journal.ts';

const BLOCK_DIR = '/sys/block';

/**
 * Returns the names of the whole disks (not partitions) that match one of the globs, sorted. Leaves out disks of size
 * 0, because a drive without a medium has size 0.
 */
export function matchingDisks(globs: readonly string[], blockDir = BLOCK_DIR): string[] {
  const patterns = globs.map(globPattern);
  let names: string[];
  try {
    names = readdirSync(blockDir);
  } catch {
    return [];
  }
  return names
    .filter((name) => patterns.some((pattern) => pattern.test(name)))
    .filter((name) => tryReadText(join(blockDir, name, 'size'))?.trim() !== '0')
    .sort();
}

/**
 * Switches on block tracing of the disks that match one of the globs, and returns these disks. `part.restore()`
 * switches block tracing of these disks off. Skips a disk with a warning if another user traces the disk or the kernel
 * cannot trace it.
 */
export function switchOnDisks(
  part: JournalPart,
  globs: readonly string[],
): { disks: string[]; warnings: string[] } {
  const disks: string[] = [];
  const warnings: string[] = existsSync(BLOCK_DIR)
    ? []
    : [`${BLOCK_DIR} does not exist: mount the host's /sys, or its /sys/block and /sys/devices`];
  for (const disk of matchingDisks(globs)) {
    const file = `${BLOCK_DIR}/${disk}/trace/enable`;
    try {
      if (withDiskOpen(file, () => readText(file)).trim() !== '0') {
        warnings.push(`block tracing of ${disk} is already on: another program, such as blktrace, uses it`);
        continue;
      }
      part.set(file, '1');
      disks.push(disk);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      warnings.push(`cannot trace ${disk}: ${error.message}`);
    }
  }
  return { disks, warnings };
}
