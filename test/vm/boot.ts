/**
 * Boots a kernel under QEMU and runs a script in it. The script runs in the host's own root, which is read-only over
 * 9p, with `/run/lab` as a writable share for its output. The kernel's messages go to the serial log. Returns how the
 * boot ended.
 */
import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { Kernel } from './kernels.ts';

/** The Debian package of each program that is needed. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  cpio: 'cpio',
  xz: 'xz-utils',
};

const DISK_BYTES = 64 << 20;
const PROGRESS_MS = 500;
/** Time to read the rest of the output. */
const PANIC_GRACE_MS = 5000;
const PANIC = /^.*Kernel panic.*$/m;
const FALLEN = /^.*(Kernel panic|Oops: |BUG: ).*$/m;

export interface BootOptions {
  /** /bin/sh runs it in the guest; its exit status is the outcome. */
  script: string;
  /** Directory on the host that the guest sees as /run/lab. */
  share: string;
  /** Emulation is slow. A boot that takes longer is ended. */
  timeLimitMs: number;
  /**
   * Tracers can bring a kernel to a standstill: if `onProgress` returns the same value for this long, the boot is
   * ended.
   */
  quietLimitMs: number;
  serialLog: string;
  /** Called now and then while the guest runs. Its return value changes when the guest makes progress. */
  onProgress(): number;
}

export type Outcome =
  /** `stall`: the kernel complained that its own timers or RCU stood still, so waits may have timed out. */
  | { kind: 'ended'; status: number; stall?: string }
  | { kind: 'panic'; reason: string }
  | { kind: 'timeout' }
  | { kind: 'standstill' }
  | { kind: 'stopped'; reason: string };

/** Packages to install before anything can be booted. */
export function missingPackages(): string[] {
  const dirs = (process.env.PATH ?? '').split(':');
  return Object.entries(PROGRAMS).flatMap(([program, debianPackage]) =>
    dirs.some((dir) => usable(join(dir, program))) ? [] : [debianPackage],
  );
}

/** The guest's busybox runs before there are libraries, so it must be static. */
function usable(file: string): boolean {
  return existsSync(file) && !(file.endsWith('/busybox') && readFileSync(file).includes('/lib64/ld-linux'));
}

/** Boots once. Never rejects because of what happens in the guest. */
export async function boot(kernel: Kernel, options: BootOptions): Promise<Outcome> {
  const { share, serialLog } = options;
  // vda and nvme0n1
  const disks = ['.disk', '.nvme'].map((name) => join(share, name));
  const initramfs = join(share, '.initramfs');
  writeFileSync(join(share, 'script'), options.script);
  rmSync(join(share, 'status'), { force: true });
  buildInitramfs(kernel, initramfs);
  for (const disk of disks) {
    const fd = openSync(disk, 'w');
    ftruncateSync(fd, DISK_BYTES);
    closeSync(fd);
  }
  const serial = openSync(serialLog, 'w');
  try {
    const ended = await runQemu(qemuArguments(kernel, share, { disks, initramfs }), serial, options);
    return outcomeOf(ended, share, readFileSync(serialLog, 'latin1'));
  } finally {
    closeSync(serial);
    for (const file of [...disks, initramfs]) rmSync(file);
  }
}

function qemuArguments(
  kernel: Kernel,
  share: string,
  { disks: [disk, nvme], initramfs }: { disks: readonly string[]; initramfs: string },
): string[] {
  // An oops ends the boot: what runs after it proves nothing.
  const append = 'console=ttyS0 quiet panic=-1 oops=panic mitigations=off tsc=reliable';
  const common = 'security_model=none,multidevs=remap';
  return [
    // No protection keys: with emulated ones V8, which protects its code with them, was seen to abort.
    // Always emulates: nested KVM, if a machine offers it, fails in ways of its own. Emulates one CPU at a time, because
    // otherwise a CPU can run code that the kernel is patching on the other one (an oops with "int3").
    ...['-accel', 'tcg,thread=single'],
    ...[
      '-cpu',
      'max,-pku',
      '-smp',
      '2',
      '-m',
      '2048',
      '-nographic',
      '-no-reboot',
      '-nodefaults',
      '-nic',
      'none',
    ],
    ...['-serial', 'stdio', '-kernel', kernel.image, '-initrd', initramfs, '-append', append],
    ...['-virtfs', `local,path=/,mount_tag=host,readonly=on,${common}`],
    ...['-virtfs', `local,path=${share},mount_tag=share,${common}`],
    ...['-drive', `file=${disk},if=virtio,format=raw,cache=writeback`],
    ...['-drive', `file=${nvme},if=none,id=nvme,format=raw,cache=writeback`],
    ...['-device', 'nvme,serial=lab,drive=nvme'],
  ];
}

interface QemuEnd {
  how: 'exit' | 'timeout' | 'standstill';
  detail: string;
}

function runQemu(args: string[], serial: number, options: BootOptions): Promise<QemuEnd> {
  const stdio: SpawnOptions['stdio'] = ['ignore', serial, serial];
  const qemu = spawn('qemu-system-x86_64', args, { stdio });
  const kill = () => qemu.kill('SIGKILL');
  const leave = () => process.exit(143);
  process.once('exit', kill);
  process.once('SIGINT', leave).once('SIGTERM', leave);
  let how: QemuEnd['how'] = 'exit';
  const end = (why: QemuEnd['how']) => () => {
    how = why;
    kill();
  };
  const limit = setTimeout(end('timeout'), options.timeLimitMs);
  let quiet: NodeJS.Timeout | undefined;
  let done = -1;
  const progress = setInterval(() => {
    const now = options.onProgress();
    if (now !== done) {
      done = now;
      clearTimeout(quiet);
      quiet = setTimeout(end('standstill'), options.quietLimitMs);
    }
    // A kernel that has crashed does not always exit when it is asked to.
    if (PANIC.test(readFileSync(options.serialLog, 'latin1'))) setTimeout(kill, PANIC_GRACE_MS).unref();
  }, PROGRESS_MS);
  return new Promise((resolve) => {
    const settle = (detail: string) => {
      clearTimeout(limit);
      clearTimeout(quiet);
      clearInterval(progress);
      process.off('exit', kill);
      process.off('SIGINT', leave).off('SIGTERM', leave);
      options.onProgress();
      resolve({ how, detail });
    };
    qemu.once('error', (error) => settle(error.message));
    qemu.once('close', (status, signal) => settle(`QEMU ended with ${status ?? signal}`));
  });
}

/** A status that the script wrote counts, whatever the kernel prints while it powers off. */
function outcomeOf(end: QemuEnd, share: string, serial: string): Outcome {
  const statusFile = join(share, 'status');
  const status = existsSync(statusFile) ? readFileSync(statusFile, 'utf8').trim() : '';
  if (/^\d+$/.test(status)) {
    const stall = /rcu: INFO: .*detected .*stalls?.*/.exec(serial)?.[0].trim();
    return { kind: 'ended', status: Number(status), ...(stall === undefined ? {} : { stall }) };
  }
  const panic = FALLEN.exec(serial)?.[0];
  if (panic !== undefined) return { kind: 'panic', reason: panic.trim() };
  if (end.how !== 'exit') return { kind: end.how };
  return { kind: 'stopped', reason: end.detail };
}

/** busybox, the kernel's modules and /init, as an archive that the kernel unpacks. */
function buildInitramfs(kernel: Kernel, file: string): void {
  const root = `${file}.d`;
  rmSync(root, { recursive: true, force: true });
  const dirs = ['bin', 'modules', 'proc', 'sys', 'dev', 'host'];
  for (const dir of dirs) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync(programPath('busybox'), join(root, 'bin/busybox'));
  copyFileSync(new URL('./guest/init.sh', import.meta.url), join(root, 'init'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  chmodSync(join(root, 'init'), 0o755);
  const modules = kernel.modules.map((from) => `modules/${basename(from)}`);
  kernel.modules.forEach((from, i) => {
    copyFileSync(from, join(root, modules[i]));
  });
  const names = [...dirs, 'bin/busybox', 'init', ...modules];
  const archive = execFileSync('cpio', ['--create', '--format=newc', '--quiet', '--owner=0:0'], {
    cwd: root,
    input: `${names.join('\n')}\n`,
    maxBuffer: 1 << 28,
  });
  writeFileSync(file, archive);
  rmSync(root, { recursive: true });
}

function programPath(program: string): string {
  const dir = (process.env.PATH ?? '').split(':').find((candidate) => existsSync(join(candidate, program)));
  if (dir === undefined) throw new Error(`${program} is missing: install ${PROGRAMS[program]}`);
  return join(dir, program);
}
