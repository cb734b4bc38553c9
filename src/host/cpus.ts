/** Finds the CPUs of this machine in sysfs (Documentation/admin-guide/cputopology.rst). */
import { readFileSync } from 'node:fs';
import { errnoOf, KernelError } from '../model/errors.ts';

/** Highest CPU number that a list may contain. NR_CPUS of every kernel is lower. */
const MAX_CPU = 65535;

/** Parses the kernel's format: `0-3,8` → 0, 1, 2, 3, 8. Throws an `Error` that contains the invalid part. */
export function parseCpuList(text: string): number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    if (part === '') continue;
    const range = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const first = Number(range?.[1]);
    const last = Number(range?.[2] ?? range?.[1]);
    if (range === null || last < first || last > MAX_CPU) {
      throw new Error(
        `${JSON.stringify(part)} in the CPU list ${JSON.stringify(text.trim())} is not a CPU or a range`,
      );
    }
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** Returns the CPUs that are online now. Throws a `KernelError` if sysfs cannot be read. */
export function onlineCpus(sysfs = '/sys'): number[] {
  const file = `${sysfs}/devices/system/cpu/online`;
  try {
    return parseCpuList(readFileSync(file, 'utf8'));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === '') throw error;
    throw new KernelError({ file, errno, action: 'read', remedy: 'is sysfs mounted at /sys?' });
  }
}
