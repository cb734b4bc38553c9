/**
 * Reads every control file of the top level, and the files of disks and tracers that instances share. After an agent
 * has ended, all of them must be as before.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { KernelError } from '../../src/model/errors.ts';
import { withDiskOpen } from '../../src/tracefs/disk-access.ts';
import { readText } from '../../src/tracefs/files.ts';

/**
 * Files that are not compared: the kernel changes them on its own or when code is loaded, they contain the recorded
 * events, or they list events that any program may define.
 */
const EXEMPT =
  /^(buffer_size_kb|buffer_total_size_kb|saved_cmdlines.*|saved_tgids|touched_functions|dyn_ftrace_total_info|error_log|trace|trace_pipe|trace_marker.*|free_buffer|snapshot.*|available_filter_.*|[ku]probe_.*|dynamic_events|synthetic_events|user_events_.*)$/;
/** Systems whose events any program may define. */
const DEFINED = /^([ku]probes|synthetic|user_events|eprobes|fprobes)$/;
/** Text of a file that is not compared, because other users of the tracer change it now. */
const ANY = 'what others do shows here';

/** Texts by path. `disk` adds the files of its block tracing. Call it while no tracer of the test itself is running. */
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
  for (const system of ['', ...readdirSync(join(root, 'events'))]) {
    const path = join(root, 'events', system, 'enable');
    if (!DEFINED.test(system) && existsSync(path)) files.set(path, textOf(path));
  }
  // This file shows the functions that all instances trace.
  if (othersTraceFunctions(root)) files.set(join(root, 'enabled_functions'), ANY);
  return files;
}

function othersTraceFunctions(root: string): boolean {
  return readdirSync(join(root, 'instances')).some((name) => {
    try {
      return readText(join(root, 'instances', name, 'current_tracer')).startsWith('function');
    } catch {
      return false;
    }
  });
}

function textOf(file: string): string {
  try {
    return withDiskOpen(file, () => readText(file));
  } catch (error) {
    return `cannot be read: ${(error as KernelError).errno}`;
  }
}

/** Describes each file that has changed in one line. Cuts the texts, which can be too long to show. */
export function differences(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string[] {
  const short = (text: string | undefined) => JSON.stringify(text?.slice(0, 100));
  return [...new Set([...before.keys(), ...now.keys()])]
    .filter((file) => before.get(file) !== now.get(file))
    .filter((file) => before.get(file) !== ANY && now.get(file) !== ANY)
    .map((file) => `${file}: ${short(before.get(file))} became ${short(now.get(file))}`);
}
