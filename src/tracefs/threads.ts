/**
 * Finds the host pids of the agent's own threads. Host pids are thread ids in the initial pid namespace; events contain
 * host pids. If the agent has a pid namespace of its own, its /proc shows different ids. Threads that run the agent's
 * code or file system calls write a nonce to `trace_marker`, and the trace shows each nonce with the writer's host pid.
 * V8's helper threads cannot write a nonce. So in its own pid namespace, the agent also sends each of its threads a
 * signal that the thread ignores, and the signal's event contains the thread's host pid. Lines of the file `trace` have
 * the form `comm-pid [cpu] flags stamp: function: text`.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readdirSync, readlinkSync, write } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, reasonOf } from '../model/errors.ts';
import { readText, writeControl } from './files.ts';
import type { Instance } from './instance.ts';

export interface OwnThreadIds {
  /** Host pids of our threads, ascending. */
  ids: number[];
  /**
   * Whether the agent has a pid namespace of its own, so that `ownThreadIds` does not return host pids. Also true if
   * the agent cannot find its marker in the trace.
   */
  nested: boolean;
  warnings: string[];
}

type Marked = Pick<Instance, 'dir' | 'start' | 'stop' | 'writeMarker'>;

/** Returns the text that a thread writes to `trace_marker`, so that `findNonces` can find its host pid. */
export function threadMark(nonce: string): string {
  return `ftrace-exporter-tid ${nonce}`;
}

/** Returns a random text that no other program writes. */
export function makeNonce(): string {
  return randomBytes(12).toString('hex');
}

/** Writes the nonce to `trace_marker` in the calling thread. The instance must be recording. Throws `KernelError`. */
export function claimThreadId(instance: Pick<Instance, 'writeMarker'>, nonce: string): void {
  instance.writeMarker(threadMark(nonce));
}

/**
 * Returns the host pids of the threads that wrote the nonces, by nonce. Leaves out nonces that the trace does not
 * contain. Throws `KernelError`.
 */
export function findNonces(instance: Pick<Instance, 'dir'>, nonces: readonly string[]): Map<string, number> {
  return parseNonces(readText(join(instance.dir, 'trace')), nonces);
}

/**
 * Matches the part of a line from the pid to the end. The comm before the pid can contain any characters. The columns
 * for flags and tgid are optional.
 */
const MARK =
  /-(\d+)\s+(?:\([\s\d-]+\)\s+)?\[\d+\]\s+(?:\S+\s+)?\d+(?:\.\d+)?: [^\s:]+: ftrace-exporter-tid ([0-9a-f]+)$/;

export function parseNonces(trace: string, nonces: readonly string[]): Map<string, number> {
  const pids = new Map<string, number>();
  for (const line of trace.split('\n')) {
    const [, pid, nonce] = MARK.exec(line) ?? [];
    if (nonce !== undefined && nonces.includes(nonce)) pids.set(nonce, Number(pid));
  }
  return pids;
}

/** Returns the ids of our threads from /proc. They are host pids unless the agent has a pid namespace of its own. */
export function ownThreadIds(): number[] {
  return readdirSync('/proc/self/task').map(Number);
}

/**
 * Finds the host pids of all our threads. The instance must be prepared, and have no enabled events or open pages.
 * Afterwards, the instance is stopped and its buffer is empty. `markElsewhere` makes the main thread write a text to a
 * file. Returns warnings about threads that were not found. Throws a `KernelError` if the kernel refuses the marker of
 * the calling thread.
 */
export async function learnOwnThreads(
  instance: Marked,
  markElsewhere?: (file: string, text: string) => Promise<void>,
): Promise<OwnThreadIds> {
  const marker = join(instance.dir, 'trace_marker');
  const warnings: string[] = [];
  const [here, elsewhere] = [makeNonce(), makeNonce()];
  try {
    instance.start();
    claimThreadId(instance, here);
    await markElsewhere?.(marker, threadMark(elsewhere));
    const claimed = findNonces(instance, [here, elsewhere]);
    const own = claimed.get(here);
    if (own === undefined)
      warnings.push(
        'cannot find the marker that shows the id of the capture thread: the metrics will include events caused by this thread',
      );
    if (markElsewhere !== undefined && !claimed.has(elsewhere))
      warnings.push(
        'cannot find the marker that shows the id of the main thread: the metrics will include events caused by this thread',
      );
    // Use libuv's thread pool even if the ids come from /proc. libuv creates the threads of the pool on first use, and
    // /proc lists only threads that exist.
    const pool = await markFromPool(instance, marker);
    const marked = new Set([...claimed.values(), ...pool]);

    const nested = own !== currentThreadId();
    const others = nested && own !== undefined ? signalledThreads(instance, own, warnings) : [];
    const ids = new Set([...marked, ...(nested ? others : ownThreadIds())]);
    return { ids: [...ids].sort((a, b) => a - b), nested, warnings };
  } finally {
    instance.stop();
    emptyBuffer(instance.dir);
  }
}

/** Returns the calling thread's id in the pid namespace of /proc, from the link `PID/task/TID`. */
function currentThreadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
}

const POOL_ROUNDS = 8;
const writeAsync = promisify(write);

/** Starts many asynchronous writes, and returns the host pids of the threads in libuv's pool that perform them. */
async function markFromPool(instance: Pick<Instance, 'dir'>, marker: string): Promise<Set<number>> {
  const poolSize = Math.min(64, Math.max(1, Number(process.env.UV_THREADPOOL_SIZE) || 4));
  const ids = new Set<number>();
  const fd = openSync(marker, constants.O_WRONLY);
  try {
    for (let round = 0; round < POOL_ROUNDS && ids.size < poolSize; round++) {
      const nonces = Array.from({ length: 4 * poolSize }, makeNonce);
      await Promise.all(nonces.map((nonce) => writeAsync(fd, `${threadMark(nonce)}\n`)));
      for (const id of findNonces(instance, nonces).values()) ids.add(id);
    }
  } finally {
    closeSync(fd);
  }
  return ids;
}

/** A signal that is ignored by default and that the agent does not use. */
const IGNORED_SIGNAL = 'SIGURG';
const IGNORED_SIGNAL_NUMBER = osConstants.signals[IGNORED_SIGNAL];
const SIGNAL_EVENT = 'events/signal/signal_generate';

/**
 * Sends a signal to each of our threads, and returns the host pids of these threads from the signal's events. `own` is
 * the host pid of the calling thread; the event filter uses it to exclude signals from other threads. If this fails,
 * adds a warning and returns no pids.
 */
function signalledThreads(instance: Pick<Instance, 'dir'>, own: number, warnings: string[]): number[] {
  const { dir } = instance;
  try {
    writeControl(dir, `${SIGNAL_EVENT}/filter`, `common_pid == ${own} && sig == ${IGNORED_SIGNAL_NUMBER}`);
    writeControl(dir, `${SIGNAL_EVENT}/enable`, '1');
    try {
      for (const tid of ownThreadIds()) signal(tid);
      return parseSignalTargets(readText(join(dir, 'trace')));
    } finally {
      writeControl(dir, `${SIGNAL_EVENT}/enable`, '0');
      writeControl(dir, `${SIGNAL_EVENT}/filter`, '0');
    }
  } catch (error) {
    const reason = reasonOf(error);
    warnings.push(
      `cannot find the ids of all threads of the agent in its pid namespace: the metrics will include events caused by the other threads: ${reason}`,
    );
    return [];
  }
}

function signal(tid: number): void {
  try {
    process.kill(tid, IGNORED_SIGNAL);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

/**
 * Returns the target pids of the `signal_generate` events in a trace. The pattern matches up to the end of the line,
 * because the target's comm before the pid can contain any characters.
 */
export function parseSignalTargets(trace: string): number[] {
  const pids = trace.split('\n').flatMap((line) => {
    const pid = / signal_generate: sig=\d+ .* pid=(\d+) grp=\d+ res=\d+$/.exec(line)?.[1];
    return pid === undefined ? [] : [Number(pid)];
  });
  return [...new Set(pids)];
}

/** Empties the buffer and resets its counters by opening `trace` with O_TRUNC. */
function emptyBuffer(dir: string): void {
  closeSync(openSync(join(dir, 'trace'), constants.O_WRONLY | constants.O_TRUNC));
}
