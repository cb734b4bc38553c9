/** Reads and writes control files. Errors contain the errno, the value and the kernel's new entries in `error_log`. */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../model/errors.ts';

const REMEDIES: Record<string, string> = {
  EPERM: 'the kernel forbids it: kernel lockdown is on, or this kind of tracing is off',
  EACCES:
    'run as root; in a container, make sure that no AppArmor or SELinux profile denies writes to this path',
  EROFS: "the mount is read-only: mount the host's tracefs writable and name it with --path.tracefs",
  EBADF: 'the file accepts this only while the instance is recording: write 1 to its tracing_on first',
  EBUSY: 'another user is using it: another agent, trace-cmd or an open trace_pipe',
  EINVAL: 'this kernel does not accept the value',
  ENOENT: 'this kernel does not have this file',
  ENODEV: 'the CPU or tracer of this file is not available at present',
  ENOMEM: 'the kernel has too little free memory for this: free some memory or use smaller buffers',
};

/** Advice for read-only files in /sys/block, whose entries are links into /sys/devices. */
const READ_ONLY_SYSFS =
  "/sys is read-only, as in a container: mount the host's /sys/devices writable at /sys/devices, and make sure that no AppArmor profile denies it";

function remedyFor(errno: string, file: string): string | undefined {
  if (errno === 'EROFS' && file.startsWith('/sys/block/')) return READ_ONLY_SYSFS;
  return REMEDIES[errno];
}

/** Converts a thrown system error to a `KernelError`. Rethrows anything else. */
export function refusal(
  error: unknown,
  what: {
    file: string;
    action: string;
    value?: string | undefined;
    errorLog?: string;
    remedy?: string | undefined;
  },
): KernelError {
  const errno = errnoOf(error);
  if (errno === '') throw error;
  const { remedy = remedyFor(errno, what.file), ...rest } = what;
  return new KernelError({ ...rest, errno, remedy });
}

/** Throws a `KernelError` with the advice that `remedy` returns, or else the usual advice for the errno. */
export function readText(file: string, remedy?: () => string | undefined): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw refusal(error, { file, action: 'read', remedy: remedy?.() });
  }
}

/** Returns the whole text of a file, or undefined if the file cannot be read. */
export function tryReadText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Does not truncate the file, because that would clear `set_event`, filters and `trace`. Throws `KernelError`. */
export function writeControl(root: string, file: string, value: string, remedy?: string): void {
  const path = join(root, file);
  const log = join(root, 'error_log');
  const before = tryReadText(log) ?? '';
  try {
    writeWhole(path, `${value}\n`);
  } catch (error) {
    const errorLog = freshEntries(before, tryReadText(log) ?? '');
    throw refusal(error, { file: path, action: 'write', value, errorLog, remedy });
  }
}

function writeWhole(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY);
  let failed = true;
  try {
    const bytes = Buffer.from(text);
    // Repeat the write, because list files (set_event, set_ftrace_filter) accept only one word per write.
    for (let done = 0; done < bytes.length; ) {
      const written = writeSync(fd, bytes, done);
      if (written <= 0) break;
      done += written;
    }
    failed = false;
  } finally {
    // Some files report errors on close. An error on close must not replace an earlier error of the write.
    try {
      closeSync(fd);
    } catch (error) {
      // biome-ignore lint/correctness/noUnsafeFinally: thrown only if the write did not throw
      if (!failed) throw error;
    }
  }
}

/** Returns the `error_log` entries that only `after` contains. An entry begins with a time such as `[ 12.345678]`. */
export function freshEntries(before: string, after: string): string {
  const earlier = new Set(entriesOf(before));
  return entriesOf(after)
    .filter((entry) => !earlier.has(entry))
    .map((entry) =>
      entry
        .replace(/^\[\s*[\d.]+\]\s*/, '')
        .replace(/\s+/g, ' ')
        .replace(/ \^ ?$/, '')
        .trim(),
    )
    .join('; ');
}

function entriesOf(log: string): string[] {
  return log.split(/^(?=\[\s*\d+\.\d+\])/m).filter((entry) => entry.trim() !== '');
}
