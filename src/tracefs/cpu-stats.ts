/** Reads `per_cpu/cpuN/stats`. Keeps the files open, so that a read costs only one system call. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { BufferStats } from '../model/source.ts';
import { refusal } from './files.ts';
import { parseStats } from './stats.ts';

export interface CpuStats {
  /** Throws `KernelError`. */
  stats(cpu: number): BufferStats;
  /** Number of events of this CPU that were read since the buffer was created or emptied. Throws `KernelError`. */
  readEvents(cpu: number): number;
  /** Closes all files. The kernel does not remove the instance while they are open. */
  close(): void;
}

/** Larger than a stats file, which has eight lines. */
const MOST_BYTES = 1024;
const READ_EVENTS = Buffer.from('read events: ');

export function openCpuStats(dir: string): CpuStats {
  const files = new Map<number, number>();
  const bytes = Buffer.alloc(MOST_BYTES);

  const pathOf = (cpu: number) => join(dir, 'per_cpu', `cpu${cpu}`, 'stats');
  const read = (cpu: number): number => {
    try {
      let fd = files.get(cpu);
      if (fd === undefined) {
        fd = openSync(pathOf(cpu), constants.O_RDONLY);
        files.set(cpu, fd);
      }
      return readSync(fd, bytes, 0, MOST_BYTES, 0);
    } catch (error) {
      throw refusal(error, { file: pathOf(cpu), action: 'read' });
    }
  };

  return {
    stats: (cpu) => parseStats(bytes.toString('latin1', 0, read(cpu)), cpu),
    readEvents: (cpu) => {
      const length = read(cpu);
      const at = bytes.indexOf(READ_EVENTS);
      let count = 0;
      if (at >= 0)
        for (let i = at + READ_EVENTS.length; i < length && bytes[i] >= 48 && bytes[i] <= 57; i++)
          count = count * 10 + bytes[i] - 48;
      return count;
    },
    close: () => {
      for (const fd of files.values()) closeSync(fd);
      files.clear();
    },
  };
}
