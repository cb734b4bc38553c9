/**
 * Reads facts about a task from /proc, by the thread id in the trace: the task's process, program and, if requested,
 * container. Requires the host's /proc, because the trace contains the host's ids.
 *
 * A task can end before the look-up, and a new task can get its id. Therefore the look-up ignores a task that started
 * after the time of the trace event. Sources: proc_pid_stat(5), proc_pid_status(5), proc_pid_exe(5).
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
  /**
   * Returns the process that a thread belonged to at the time `atNs` (CLOCK_MONOTONIC); undefined if the process is
   * unknown.
   */
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
/**
 * How long facts are cached. A process can change its program or cgroup and keep its id and start time. The agent then
 * uses the old facts until this time has passed.
 */
const KEPT_NS = 5e9;
/** How long facts are used without another check of the start time. The kernel does not reuse an id this quickly. */
const FRESH_NS = 5e8;
/**
 * How long the facts about an ended thread apply to its id, counted from when /proc last showed the thread. Later,
 * another thread may have the id.
 */
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

  /**
   * Returns how long the machine was suspended. /proc/uptime (CLOCK_BOOTTIME) includes this time; CLOCK_MONOTONIC does
   * not.
   */
  const sleptNs = (): number => Number.parseFloat(read('uptime')) * 1e9 - nowNs();

  const lookUp = (tid: number): ProcessOfTask => {
    const pid = Number(/^Tgid:\s*(\d+)$/m.exec(read(String(tid), 'status'))?.[1] ?? tid);
    return {
      pid,
      executable: executableOf(procDir, tid, pid),
      container: containers ? containerOf(read(String(tid), 'cgroup')) : undefined,
    };
  };

  /**
   * Returns the cached facts about a thread id if they apply to `atNs`, else undefined. Call it if the thread has
   * ended, or if the id now belongs to a thread that started after `atNs`.
   */
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

/**
 * Returns the start time (field 22) in ticks after boot. Skips everything up to the last `)`, because the name (field
 * 2) can contain parentheses.
 */
function startOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

/**
 * Returns the name of the program from the link `exe`; '' for kernel threads. If the agent lacks the permission to read
 * the link, returns the `comm` of the process (at most 15 bytes). Reads the thread's own link and not the main thread's
 * link, because the main thread may have ended.
 */
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
