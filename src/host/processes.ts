/**
 * Finds the process, program and container of a traced task in /proc. Requires the host's /proc, because the trace
 * contains the host's ids. Ignores tasks that started after the trace event, because the kernel reuses ids.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { type ContainerIds, containerOf } from './container-paths.ts';

export interface ProcessOfTask {
  pid: number;
  /** Name of the program; '' for kernel threads. */
  executable: string;
  container: ContainerIds | undefined;
}

export interface ProcessLookup {
  /** Returns the process of a thread at the time `atNs` (CLOCK_MONOTONIC); undefined if unknown. */
  of(tid: number, atNs: number): ProcessOfTask | undefined;
}

export interface ProcessLookupOptions {
  containers: boolean;
  procDir?: string;
  /** CLOCK_MONOTONIC in nanoseconds. */
  nowNs?: () => number;
  tasks?: number;
}

interface Known {
  startTicks: number;
  /** Earliest possible start of the thread, on CLOCK_MONOTONIC. */
  sinceNs: number;
  /** When /proc last showed the thread, on CLOCK_MONOTONIC. */
  seenNs: number;
  untilNs: number;
  process: ProcessOfTask;
}

const TASKS = 1024;
/** How long facts are cached. A change of the program or cgroup is noticed only after this time. */
const KEPT_NS = 5e9;
/** How long facts are used without another check of the start time. The kernel does not reuse an id this quickly. */
const FRESH_NS = 5e8;
/** How long the facts about an ended thread apply to its id. Later, another thread may have the id. */
const GONE_NS = 1e9;
/** Nanoseconds per tick of the times in /proc. USER_HZ is 100 on every architecture that Node supports. */
const TICK_NS = 1e7;
/** Tolerance for comparing /proc/uptime with CLOCK_MONOTONIC, because /proc/uptime has a resolution of 10 ms. */
const SLACK_NS = 3 * TICK_NS;
const LONGEST_NAME = 255;

export function makeProcessLookup(options: ProcessLookupOptions): ProcessLookup {
  const { containers, procDir = '/proc', nowNs = monotonicNs, tasks = TASKS } = options;
  /** Facts by thread id. The least recently used entry comes first. */
  const cache = new Map<number, Known>();

  const read = (...path: string[]): string => readFileSync(join(procDir, ...path), 'utf8');

  /** Returns how long the machine was suspended. /proc/uptime includes this time, CLOCK_MONOTONIC does not. */
  const sleptNs = (): number => Number.parseFloat(read('uptime')) * 1e9 - nowNs();

  const lookUp = (tid: number): ProcessOfTask => {
    const pid = Number(/^Tgid:\s*(\d+)$/m.exec(read(String(tid), 'status'))?.[1] ?? tid);
    return {
      pid,
      executable: executableOf(procDir, tid, pid),
      container: containers ? containerOf(read(String(tid), 'cgroup')) : undefined,
    };
  };

  /** Returns the cached facts if they apply to `atNs`. Call it for an ended thread or a reused id. */
  const before = (tid: number, atNs: number): ProcessOfTask | undefined => {
    const entry = cache.get(tid);
    if (entry === undefined || atNs < entry.sinceNs || atNs > entry.seenNs + GONE_NS) return undefined;
    return entry.process;
  };

  return {
    of: (tid, atNs) => {
      const last = cache.get(tid);
      if (last !== undefined && nowNs() - last.seenNs < FRESH_NS && last.sinceNs <= atNs) {
        cache.delete(tid);
        cache.set(tid, last);
        return last.process;
      }
      try {
        const startTicks = startOf(read(String(tid), 'stat'));
        const sinceNs = startTicks * TICK_NS - sleptNs() - SLACK_NS;
        if (!(sinceNs <= atNs)) return before(tid, atNs);
        const cached = cache.get(tid);
        const isGood = cached !== undefined && cached.startTicks === startTicks && nowNs() < cached.untilNs;
        const entry = isGood
          ? cached
          : { startTicks, sinceNs, seenNs: 0, untilNs: nowNs() + KEPT_NS, process: lookUp(tid) };
        // A new thread may have got the id since `stat` was read.
        if (!isGood && startOf(read(String(tid), 'stat')) !== startTicks) return before(tid, atNs);
        entry.seenNs = nowNs();
        cache.delete(tid);
        if (cache.size >= tasks) cache.delete(cache.keys().next().value as number);
        cache.set(tid, entry);
        return entry.process;
      } catch (error) {
        if (errnoOf(error) === '') throw error;
        // The task has ended, or is not visible.
        return before(tid, atNs);
      }
    },
  };
}

/** Returns field 22, in ticks after boot. Field 2, the name, can contain `)`, so it ends at the last `)`. */
function startOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

/** Returns the program's name; '' for kernel threads. Reads the thread's link, as the main thread may have ended. */
function executableOf(procDir: string, tid: number, pid: number): string {
  try {
    const target = readlinkSync(join(procDir, String(tid), 'exe'), { encoding: 'buffer' }).toString('utf8');
    return printable(basename(target.replace(/ \(deleted\)$/, '')));
  } catch (error) {
    const errno = errnoOf(error);
    // Kernel threads have no link.
    if (errno === 'ENOENT') return '';
    if (errno !== 'EACCES' && errno !== 'EPERM') throw error;
    return printable(readFileSync(join(procDir, String(pid), 'comm'), 'utf8').replace(/\n$/, ''));
  }
}

function printable(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f]/g, '\ufffd').slice(0, LONGEST_NAME);
}

function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}
