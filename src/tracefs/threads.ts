/**
 * Finds the host pids (ids in the initial pid namespace, as in events) of the agent's threads. Each thread writes a
 * nonce to `trace_marker`, and the trace shows the nonce with the host pid. V8's helper threads cannot write markers.
 * So in its own pid namespace, the agent signals its threads and reads their host pids from the signals' events.
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
  /** Whether the agent has its own pid namespace. Also true if the agent cannot find its marker in the trace. */
  nested: boolean;
  warnings: string[];
}

type Marked = Pick<Instance, 'dir' | 'start' | 'stop' | 'writeMarker'>;

/** Returns the text that a thread writes to `trace_marker`, so that `findNonces` can find its host pid. */
export function threadMark(nonce: string): string {
  return `ftrace-exporter-tid ${nonce}`;
}

export function makeNonce(): string {
  return randomBytes(12).toString('hex');
}

/** Writes the nonce in the calling thread. The instance must be recording. Throws `KernelError`. */
export function claimThreadId(instance: Pick<Instance, 'writeMarker'>, nonce: string): void {
  instance.writeMarker(threadMark(nonce));
}

/** Returns the writers' host pids by nonce. Leaves out nonces that the trace does not contain. Throws `KernelError`. */
export function findNonces(instance: Pick<Instance, 'dir'>, nonces: readonly string[]): Map<string, number> {
  return parseNonces(readText(join(instance.dir, 'trace')), nonces);
}

/** The pattern is anchored at the end, because the comm before the pid can contain any characters. */
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
 * The instance must be prepared, and have no enabled events or open pages. Afterwards, the instance is stopped and
 * empty. `markElsewhere` makes the main thread write a text to a file. Throws `KernelError`.
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
    // The pool is needed even if the ids come from /proc, because libuv creates its threads on first use.
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

/** Returns the calling thread's id in the pid namespace of /proc. */
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

/** `own` is the host pid of the calling thread. If this fails, adds a warning and returns no pids. */
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

/** The pattern is anchored at the end, because the target's comm before the pid can contain any characters. */
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
