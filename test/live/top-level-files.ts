/** What must be as before when an agent has gone: text of every control file of the top level and of what it shares. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { KernelError } from '../../src/model/errors.ts';
import { withDiskOpen } from '../../src/tracefs/disk-access.ts';
import { readText } from '../../src/tracefs/files.ts';

/** Change by themselves, or are the recording itself, or only loading code changes them. */
const EXEMPT =
  /^(buffer_size_kb|buffer_total_size_kb|saved_cmdlines.*|saved_tgids|touched_functions|dyn_ftrace_total_info|error_log|trace|trace_pipe|trace_marker.*|free_buffer|snapshot.*|available_filter_.*)$/;

/** By path; `disk` adds the switch of its block tracing. */
export function topLevelFiles(root: string, disk?: string): Map<string, string> {
  const files = new Map<string, string>();
  const takeAll = (dir: string) => {
    if (!existsSync(dir)) return;
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      if (!EXEMPT.test(name) && statSync(path).isFile()) files.set(path, textOf(path));
    }
  };
  for (const dir of ['', 'options', 'osnoise', 'hwlat_detector']) takeAll(join(root, dir));
  if (disk !== undefined) takeAll(`/sys/block/${disk}/trace`);
  return files;
}

function textOf(file: string): string {
  try {
    return withDiskOpen(file, () => readText(file));
  } catch (error) {
    return `cannot be read: ${(error as KernelError).errno}`;
  }
}

/** What has changed, a line each: the texts together are too long to show. */
export function differences(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const short = (text: string | undefined) => JSON.stringify(text?.slice(0, 100));
  return [...new Set([...before.keys(), ...now.keys()])]
    .filter((file) => before.get(file) !== now.get(file))
    .map((file) => `${file}: ${short(before.get(file))} became ${short(now.get(file))}`);
}
