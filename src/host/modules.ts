/** Detects when kernel modules are loaded or removed, because the addresses of functions then change. */
import { readFileSync, statSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';

export interface ModuleWatch {
  /** Whether the set of modules has changed since the previous call. */
  changed(): boolean;
}

/** Watches the loaded modules. Reports no change if the kernel has no modules or /proc cannot be read. */
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

/** Returns a text that identifies the loaded modules: by address or, if the kernel hides addresses, by inode. */
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
