/** Finds names of syscalls and events. An event is named after the function that implements the syscall. */
import { namesByNumber } from './number-names.ts';
import { SYSCALLS_ARM } from './syscall-table-arm.ts';
import { SYSCALLS_ARM64, SYSCALLS_RISCV64 } from './syscall-table-generic.ts';
import { SYSCALLS_I386 } from './syscall-table-i386.ts';
import { SYSCALLS_PPC64 } from './syscall-table-ppc64.ts';
import { SYSCALLS_X86_64 } from './syscall-table-x86-64.ts';

export interface SyscallTable {
  /** Name of a syscall by its number; undefined if the number is not in the table. */
  name(id: number): string | undefined;
  /** All numbers, ascending. A kernel may lack some of them. */
  ids: readonly number[];
}

/** Names of functions that implement syscalls, by syscall name, if the two names differ. */
const EVENT_NAMES: Readonly<Record<string, string>> = {
  stat: 'newstat',
  fstat: 'newfstat',
  lstat: 'newlstat',
  uname: 'newuname',
  sendfile: 'sendfile64',
  umount2: 'umount',
};

const EVENT_NAMES_ARM64: Readonly<Record<string, string>> = {
  ...EVENT_NAMES,
  fadvise64: 'fadvise64_64',
  personality: 'arm64_personality',
};

/** Tables by machine type (`uname -m`). The agent runs on the first two types. Recordings can come from every type. */
const TABLES: readonly (readonly [names: RegExp, table: string])[] = [
  [/^x86_64$/, SYSCALLS_X86_64],
  [/^(?:aarch64|arm64)$/, SYSCALLS_ARM64],
  [/^arm/, SYSCALLS_ARM],
  [/^i[3-6]86$/, SYSCALLS_I386],
  [/^ppc64/, SYSCALLS_PPC64],
  [/^riscv64$/, SYSCALLS_RISCV64],
];

/** Returns the syscalls of a machine type, without its 32-bit mode. Undefined for an unknown type. */
export function syscallTable(machine: string): SyscallTable | undefined {
  const table = TABLES.find(([names]) => names.test(machine))?.[1];
  if (table === undefined) return undefined;
  const names = namesByNumber(table);
  return { name: (id) => names.get(id), ids: [...names.keys()] };
}

/** Returns the part of a syscall's event name after `sys_enter_`: `newfstat` for `fstat`, `openat` for `openat`. */
export function syscallEventName(name: string, machine = 'x86_64'): string {
  const names = isArm64(machine) ? EVENT_NAMES_ARM64 : EVENT_NAMES;
  return Object.hasOwn(names, name) ? names[name] : name;
}

function isArm64(machine: string): boolean {
  return machine === 'aarch64' || machine === 'arm64';
}
