/** Reads raw sub-buffers from `per_cpu/cpuN/trace_pipe_raw`, without blocking. Source: tracing_buffers_read(). */
import { closeSync, constants, openSync, readSync, readvSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../model/errors.ts';
import type { PageSource } from '../model/source.ts';
import { ONLINE_FILE, readCpuList } from './cpu-dirs.ts';
import { refusal } from './files.ts';

export interface LivePages extends PageSource {
  readPages(cpu: number, into: readonly Uint8Array[]): number;
  /** Adapts to CPUs that went online or offline. Do not call this while reading the CPUs that `cpus()` returned. */
  refresh(): void;
  /** Closes all files. While they are open, the kernel does not remove the instance or change its tracer. */
  close(): void;
}

interface CpuFile {
  fd: number;
  online: boolean;
  /** Whether the CPU is offline and its buffer was empty at the last read. */
  drained: boolean;
}

const INTERRUPTED_TRIES = 16;

/** Reading an empty buffer costs an exception; `Error.stackTraceLimit = 0` halves the cost. Throws `KernelError`. */
export function openLivePages(instanceDir: string, pageSize: number, onlineFile = ONLINE_FILE): LivePages {
  const files: (CpuFile | undefined)[] = [];
  let readable: number[] = [];

  const pathOf = (cpu: number) => join(instanceDir, 'per_cpu', `cpu${cpu}`, 'trace_pipe_raw');

  const open = (cpu: number): void => {
    const file = pathOf(cpu);
    try {
      const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
      files[cpu] = { fd, online: true, drained: false };
    } catch (error) {
      throw refusal(error, { file, action: 'open' });
    }
  };

  const close = (): void => {
    for (const file of files) if (file !== undefined) closeSync(file.fd);
    files.length = 0;
    readable = [];
  };

  const refresh = (): void => {
    const online = new Set(readCpuList(onlineFile));
    files.forEach((file, cpu) => {
      if (file === undefined) return;
      if (!online.has(cpu) && !file.online && file.drained) {
        closeSync(file.fd);
        files[cpu] = undefined;
        return;
      }
      file.online = online.has(cpu);
      file.drained = false;
    });
    for (const cpu of online) if (files[cpu] === undefined) open(cpu);
    readable = files.flatMap((file, cpu) => (file === undefined ? [] : [cpu]));
  };

  const read = (cpu: number, copy: (fd: number) => number): number => {
    const file = files[cpu];
    if (file === undefined) return 0;
    for (let tries = 0; tries < INTERRUPTED_TRIES; tries++) {
      try {
        const length = copy(file.fd);
        if (length === 0) file.drained = !file.online;
        return length;
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === 'EINTR') continue;
        if (errno !== 'EAGAIN' && errno !== 'EBUSY' && errno !== 'ENOMEM')
          throw unreadable(cpu, errno, error);
        if (errno === 'EAGAIN') file.drained = !file.online;
        return 0;
      }
    }
    return 0;
  };

  const unreadable = (cpu: number, errno: string, error: unknown): unknown => {
    if (errno === '') return error;
    const remedy = 'the buffer of this CPU can no longer be read: restart the agent';
    return new KernelError({ file: pathOf(cpu), errno, action: 'read', remedy });
  };

  try {
    refresh();
  } catch (error) {
    close();
    throw error;
  }
  return {
    cpus: () => readable,
    readPage: (cpu, into) => read(cpu, (fd) => readSync(fd, into, 0, pageSize, null)),
    // The kernel copies a page to each array. When it has no further page, it returns what it has copied.
    readPages: (cpu, into) => read(cpu, (fd) => readvSync(fd, into)),
    refresh,
    close,
  };
}
