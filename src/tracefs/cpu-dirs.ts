/** Finds CPUs: those with per-CPU files in tracefs, and those in a list from the kernel. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readText, refusal } from './files.ts';

/** CPUs with a directory `per_cpu/cpuN` in an instance, ascending. These are the possible CPUs. */
export function possibleCpus(instanceDir: string): number[] {
  const dir = join(instanceDir, 'per_cpu');
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (error) {
    throw refusal(error, { file: dir, action: 'list' });
  }
  const numbers = names.map((name) => /^cpu(\d+)$/.exec(name)?.[1]);
  return numbers.flatMap((digits) => (digits === undefined ? [] : [Number(digits)])).sort((a, b) => a - b);
}

export const ONLINE_FILE = '/sys/devices/system/cpu/online';

/** CPUs in a file that contains a list in the kernel's format (`0-3,8`), ascending. */
export function readCpuList(file: string): number[] {
  const cpus: number[] = [];
  for (const part of readText(file).trim().split(',')) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (range === null) continue;
    const last = Number(range[2] ?? range[1]);
    for (let cpu = Number(range[1]); cpu <= last; cpu++) cpus.push(cpu);
  }
  return cpus;
}
