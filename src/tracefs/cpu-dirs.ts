/** Finds the possible CPUs in tracefs, and reads lists of CPUs in the kernel's format. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readText, refusal } from './files.ts';

/** Returns the possible CPUs, ascending. Throws `KernelError`. */
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

/** Reads a list of CPUs in the kernel's format (`0-3,8`). Throws `KernelError`. */
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
