import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { errnoName } from '../../../src/host/errno.ts';
import { type SyscallTable, syscallEventName, syscallTable } from '../../../src/host/syscalls.ts';

const HEADER_32 = '/usr/include/x86_64-linux-gnu/asm/unistd_32.h';
const HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h';

function table(machine: string): SyscallTable {
  const syscalls = syscallTable(machine);
  assert.ok(syscalls);
  return syscalls;
}

describe('syscallTable', () => {
  it('knows x86-64 by number', () => {
    const { name } = table('x86_64');
    const pairs: [number, string][] = [
      [0, 'read'],
      [5, 'fstat'],
      [74, 'fsync'],
      [110, 'getppid'],
      [231, 'exit_group'],
      [334, 'rseq'],
      [336, 'uprobe'],
      [424, 'pidfd_send_signal'],
      [453, 'map_shadow_stack'],
      [471, 'rseq_slice_yield'],
      [472, 'fchroot'],
    ];
    for (const [id, expected] of pairs) assert.equal(name(id), expected);
    for (const id of [-5, -1, 337, 423, 473, 512, 123456]) assert.equal(name(id), undefined);
  });

  it('knows arm64 by number', () => {
    const { name } = table('aarch64');
    const pairs: [number, string][] = [
      [0, 'io_setup'],
      [38, 'renameat'],
      [63, 'read'],
      [79, 'newfstatat'],
      [80, 'fstat'],
      [82, 'fsync'],
      [163, 'getrlimit'],
      [173, 'getppid'],
      [223, 'fadvise64'],
      [243, 'recvmmsg'],
      [260, 'wait4'],
      [294, 'kexec_file_load'],
      [447, 'memfd_secret'],
      [471, 'rseq_slice_yield'],
      [472, 'fchroot'],
    ];
    for (const [id, expected] of pairs) assert.equal(name(id), expected);
    for (const id of [-1, 244, 259, 295, 403, 423]) assert.equal(name(id), undefined);
  });

  it('has each name and number once, numbers ascending', () => {
    for (const machine of ['x86_64', 'aarch64', 'armv7l', 'i686', 'ppc64le', 'riscv64']) {
      const { name, ids } = table(machine);
      assert.deepEqual(
        [...ids].sort((a, b) => a - b),
        ids,
      );
      const names = ids.map(name);
      assert.equal(new Set(names).size, ids.length);
      for (const each of names) assert.match(each ?? '', /^[a-z_][a-z0-9_]*$/);
    }
  });

  it('gives new syscalls the same numbers on all machines', () => {
    for (let id = 424; id <= 472; id++) {
      for (const machine of ['aarch64', 'armv7l', 'i686', 'ppc64le', 'riscv64']) {
        const name = table(machine).name(id);
        // Some machines lack a few syscalls: memfd_secret and map_shadow_stack.
        if (name !== undefined) assert.equal(name, table('x86_64').name(id), `${machine} ${id}`);
      }
    }
  });

  it('knows other machines by number, under their own names', () => {
    const pairs: [string, number, string][] = [
      ['armv7l', 240, 'futex'],
      ['armv6l', 172, 'prctl'],
      ['armv8l', 322, 'openat'],
      ['i686', 240, 'futex'],
      ['i586', 295, 'openat'],
      ['ppc64le', 221, 'futex'],
      ['ppc64', 286, 'openat'],
      ['riscv64', 98, 'futex'],
      ['riscv64', 258, 'riscv_hwprobe'],
    ];
    for (const [machine, id, expected] of pairs) assert.equal(table(machine).name(id), expected);
  });

  it('agrees with the 32-bit header of this machine', { skip: !existsSync(HEADER_32) }, () => {
    const { name } = table('i686');
    const defines = [...readFileSync(HEADER_32, 'utf8').matchAll(/^#define __NR_(\w+) (\d+)$/gm)];
    assert.ok(defines.length > 300);
    for (const [, expected, id] of defines) assert.equal(name(Number(id)), expected);
  });

  it('is undefined for other machines', () => {
    for (const machine of ['s390x', 'mips64', 'sparc64', '']) assert.equal(syscallTable(machine), undefined);
  });

  it('agrees with the header of this machine', { skip: !existsSync(HEADER) }, () => {
    const { name } = table('x86_64');
    const defines = [...readFileSync(HEADER, 'utf8').matchAll(/^#define __NR_(\w+) (\d+)$/gm)];
    assert.ok(defines.length > 300);
    for (const [, expected, id] of defines) assert.equal(name(Number(id)), expected);
  });
});

describe('syscallEventName', () => {
  it("differs from the name if the function's name does", () => {
    assert.equal(syscallEventName('fstat'), 'newfstat');
    assert.equal(syscallEventName('sendfile'), 'sendfile64');
    assert.equal(syscallEventName('openat'), 'openat');
    assert.equal(syscallEventName('constructor'), 'constructor');
    assert.equal(syscallEventName('fadvise64'), 'fadvise64');
    assert.equal(syscallEventName('fadvise64', 'aarch64'), 'fadvise64_64');
    assert.equal(syscallEventName('uname', 'aarch64'), 'newuname');
  });
});

describe('errnoName', () => {
  it('agrees with the names that Node has', () => {
    const aliases = ['EWOULDBLOCK', 'ENOTSUP'];
    for (const [name, errno] of Object.entries(constants.errno)) {
      if (!aliases.includes(name)) assert.equal(errnoName(errno), name);
    }
  });

  it('has the ends and the numbers that only the kernel sees', () => {
    const pairs: [number, string | undefined][] = [
      [1, 'EPERM'],
      [11, 'EAGAIN'],
      [35, 'EDEADLK'],
      [95, 'EOPNOTSUPP'],
      [133, 'EHWPOISON'],
      [512, 'ERESTARTSYS'],
      [516, 'ERESTART_RESTARTBLOCK'],
      [524, 'ENOTSUPP'],
      [530, 'ERECALLCONFLICT'],
      [0, undefined],
      [-2, undefined],
      [41, undefined],
      [134, undefined],
      [520, undefined],
      [4096, undefined],
    ];
    for (const [errno, name] of pairs) assert.equal(errnoName(errno), name);
  });
});
