/**
 * Facts about a task from /proc, by the id that the trace has for it: a host's thread id in; the process it is part of,
 * its program, and where it is wanted its container, out. Good only where /proc is the host's.
 *
 * A task may be gone by the time somebody asks, and its id be another's: what has begun after the moment asked about is
 * not the one. proc_pid_stat(5), proc_pid_status(5), proc_pid_exe(5)
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { type ContainerIds, containerOf } from './container-paths.ts';

export interface ProcessOfTask {
  /** Id of the process. */
  pid: number;
  /** Name of its program; '' for threads of the kernel. */
  executable: string;
  container: ContainerIds | undefined;
}

export interface ProcessLookup {
  /** The process that a thread was part of at a time of CLOCK_MONOTONIC; undefined where it cannot be told. */
  of(tid: number, atNs: number): ProcessOfTask | undefined;
}

export interface ProcessLookupOptions {
  /** Whether cgroups are read. */
  containers: boolean;
  procDir?: string;
  /** CLOCK_MONOTONIC, nanoseconds. */
  nowNs?: () => number;
  tasks?: number;
}

interface Known {
  startTicks: number;
  /** When the thread began, on CLOCK_MONOTONIC, as exactly as that can be said. */
  sinceNs: number;
  /** When the thread was last seen. */
  seenNs: number;
  untilNs: number;
  process: ProcessOfTask;
}

const TASKS = 1024;
/** A program can be replaced, and a process be moved, while it keeps id and start: so long it may go unnoticed. */
const KEPT_NS = 5e9;
/** How long after it was last seen a thread that is gone is still taken for the one that had its id: ids come again. */
const GONE_NS = 1e9;
/** USER_HZ: what /proc counts in, on every architecture that Node runs on. */
const TICK_NS = 1e7;
/** How exactly both clocks are compared: /proc/uptime has hundredths of a second, too. */
const SLACK_NS = 3 * TICK_NS;
const LONGEST_NAME = 255;

export function makeProcessLookup(options: ProcessLookupOptions): ProcessLookup {
  const { containers, procDir = '/proc', nowNs = monotonicNs, tasks = TASKS } = options;
  /** Least recently used first. */
  const known = new Map<number, Known>();

  const read = (...path: string[]): string => readFileSync(join(procDir, ...path), 'utf8');

  /** CLOCK_BOOTTIME goes on while the machine sleeps. */
  const sleptNs = (): number => Number.parseFloat(read('uptime')) * 1e9 - nowNs();

  const lookUp = (tid: number): ProcessOfTask => {
    const pid = Number(/^Tgid:\s*(\d+)$/m.exec(read(String(tid), 'status'))?.[1] ?? tid);
    return {
      pid,
      executable: executableOf(procDir, tid, pid),
      container: containers ? containerOf(read(String(tid), 'cgroup')) : undefined,
    };
  };

  /** What was known of the thread before it ended, or before its id went to another one that began after `atNs`. */
  const before = (tid: number, atNs: number): ProcessOfTask | undefined => {
    const entry = known.get(tid);
    if (entry === undefined || atNs < entry.sinceNs || atNs > entry.seenNs + GONE_NS) return undefined;
    return entry.process;
  };

  return {
    of: (tid, atNs) => {
      try {
        const startTicks = startOf(read(String(tid), 'stat'));
        const sinceNs = startTicks * TICK_NS - sleptNs() - SLACK_NS;
        if (!(sinceNs <= atNs)) return before(tid, atNs);
        const cached = known.get(tid);
        const isGood = cached !== undefined && cached.startTicks === startTicks && nowNs() < cached.untilNs;
        const entry = isGood
          ? cached
          : { startTicks, sinceNs, seenNs: 0, untilNs: nowNs() + KEPT_NS, process: lookUp(tid) };
        // Between both reads the id can have become another's.
        if (!isGood && startOf(read(String(tid), 'stat')) !== startTicks) return before(tid, atNs);
        entry.seenNs = nowNs();
        known.delete(tid);
        if (known.size >= tasks) known.delete(known.keys().next().value as number);
        known.set(tid, entry);
        return entry.process;
      } catch (error) {
        if (errnoOf(error) === '') throw error;
        // Gone, or not to be seen.
        return before(tid, atNs);
      }
    },
  };
}

/** Field 22; the second one, the name, is in parentheses and can hold anything. */
function startOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

/**
 * The link needs the right to look into the process, which an agent without capabilities has for few: for others the
 * process' own name, which has 15 bytes at most. The thread's link, for a leader that has ended has none.
 */
function executableOf(procDir: string, tid: number, pid: number): string {
  try {
    const target = readlinkSync(join(procDir, String(tid), 'exe'), { encoding: 'buffer' }).toString('utf8');
    return printable(basename(target.replace(/ \(deleted\)$/, '')));
  } catch (error) {
    const errno = errnoOf(error);
    // Threads of the kernel have none.
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
