/** Switches on block tracing of disks for the blk tracer. Source: kernel/trace/blktrace.c. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { withDiskOpen } from './disk-access.ts';
import { readText, tryReadText } from './files.ts';
import { globPattern } from './journal/control-forms.ts';
import type { JournalPart } from './journal/journal.ts';

const BLOCK_DIR = '/sys/block';

/** Returns the matching whole disks (no partitions), sorted. Leaves out drives without a medium (size 0). */
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

/** Switches on block tracing of the matching disks. Warns about disks that are already traced or cannot be traced. */
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
