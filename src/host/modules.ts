/**
 * Whether modules came or went, since then functions have other addresses and names: text of /proc/modules
 * (kernel/module/procfs.c, m_show(): `name size users by state address`) in, a yes or no out.
 */
import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';

export interface ModuleWatch {
  /** Whether the modules are others than when this was last asked. */
  changed(): boolean;
}

/** A kernel without modules, or without /proc, never changes. */
export function watchModules(file = '/proc/modules', sysfs = '/sys/module'): ModuleWatch {
  const look = () =>
    loadedModules(read(file), (name) => statSync(`${sysfs}/${name}`, { throwIfNoEntry: false })?.ino);
  let last = look();
  return {
    changed: () => {
      const now = look();
      const differs = now !== last;
      last = now;
      return differs;
    },
  };
}

/**
 * What tells one set of loaded modules from another; how much they are used is no part of it. `inodeOf` stands in for
 * addresses that are hidden: a module that was loaded again is another one.
 */
export function loadedModules(text: string, inodeOf: (name: string) => number | undefined): string {
  const modules: string[] = [];
  for (const line of text.split('\n')) {
    const [name, size, , , state, address] = line.split(' ');
    if (address === undefined) continue;
    const where = /^0x0+$/.test(address) ? `inode ${inodeOf(name) ?? ''}` : address;
    modules.push(`${name} ${size} ${state} ${where}`);
  }
  return modules.join('\n');
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return '';
  }
}
