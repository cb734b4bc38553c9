/**
 * Builds a kernel of the lab from a Debian package with the kernel's source. latency.config sets what it contains;
 * everything else is off, so that the build is small.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './apt.ts';

export const CONFIG = fileURLToPath(new URL('./latency.config', import.meta.url));

/** The Debian package of each file that the build needs. */
const NEEDED: Readonly<Record<string, string>> = {
  '/usr/bin/make': 'make',
  '/usr/bin/gcc': 'gcc',
  '/usr/bin/flex': 'flex',
  '/usr/bin/bison': 'bison',
  '/usr/bin/bc': 'bc',
  '/usr/bin/xz': 'xz-utils',
  '/usr/include/libelf.h': 'libelf-dev',
};
/** The module that keeps interrupts or preemption off for a given time. */
const DELAY_MODULE = 'kernel/trace/preemptirq_delay_test.ko';

/** Packages to install before a kernel can be built. */
export function missingForBuild(): string[] {
  return Object.entries(NEEDED).flatMap(([file, debianPackage]) => (existsSync(file) ? [] : [debianPackage]));
}

/** `unpacked` contains the files of the package. Writes image and modules to `dir`. Throws an `Error`. */
export function buildKernel(unpacked: string, dir: string, log: (line: string) => void): void {
  const sources = join(unpacked, 'usr/src');
  const archive = readdirSync(sources).find((file) => /^linux-source-.*\.tar\.xz$/.test(file));
  if (archive === undefined) throw new Error(`no source of a kernel in ${sources}`);
  run('tar', ['--extract', '--file', archive], sources);
  const tree = join(sources, archive.replace('.tar.xz', ''));
  make(tree, [`KCONFIG_ALLCONFIG=${CONFIG}`, 'allnoconfig']);
  assertConfig(join(tree, '.config'));
  log('building the kernel; this takes 12 minutes of CPU time');
  make(tree, [`-j${availableParallelism()}`, 'bzImage', 'modules']);
  cpSync(join(tree, 'arch/x86/boot/bzImage'), join(dir, 'vmlinuz'));
  mkdirSync(join(dir, 'modules'));
  cpSync(join(tree, DELAY_MODULE), join(dir, 'extra/preemptirq_delay_test.ko'));
}

/** The kernel's configuration drops settings silently if what they depend on is off. */
function assertConfig(file: string): void {
  const lines = new Set(readFileSync(file, 'utf8').split('\n'));
  const wanted = readFileSync(CONFIG, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_'));
  const dropped = wanted.filter((line) => !lines.has(line));
  if (dropped.length > 0) throw new Error(`the kernel's configuration lacks ${dropped.join(', ')}`);
}

function make(tree: string, args: readonly string[]): void {
  const options = { cwd: tree, encoding: 'utf8', maxBuffer: 1 << 28 } as const;
  const { status, stdout, stderr } = spawnSync('nice', ['-n', '15', 'make', 'ARCH=x86_64', ...args], options);
  if (status !== 0) throw new Error(`make ${args.join(' ')} in ${tree}:\n${(stdout + stderr).slice(-4000)}`);
}
