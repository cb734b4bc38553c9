/**
 * Records of a latency tracer: each time it meets a latency longer than any before, that latency and its trace come
 * out. The trace of the last record stays, whatever is written to its maximum: so a reset misses only a record that is
 * made between two system calls and followed by another before its trace is read. Source: kernel/trace/trace.c, __update_max_tr(), latency_fsnotify().
 */
import { closeSync, constants, openSync, readSync, watch, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readText, refusal, tryReadText } from './files.ts';

export interface LatencyWatch {
  /** Looks, then lets the tracer begin anew: the next latency is a record, however short. Throws `KernelError`. */
  reset(): void;
  /** Looks now. Throws `KernelError`. */
  look(): void;
  close(): void;
}

export interface LatencyWatchOptions {
  /** Bound of a trace's text. */
  traceBytes?: number;
  /** Between looks of our own, for where the kernel does not tell. */
  pollMs?: number;
  /** Looking failed: the instance is gone, or cannot be read. */
  onError?: (error: unknown) => void;
}

const TRACE_BYTES = 1 << 16;
const POLL_MS = 1000;
const TRIES = 5;
const MAXIMUM = 'tracing_max_latency';

/**
 * `dir` is an instance in which a latency tracer runs and recording is on; what came before does not count. `onRecord`
 * gets nanoseconds, in steps of a microsecond, and '' as the trace where there is none. Throws `KernelError`.
 */
export function watchMaxLatency(
  dir: string,
  onRecord: (latencyNs: number, trace: string) => void,
  options: LatencyWatchOptions = {},
): LatencyWatch {
  const { traceBytes = TRACE_BYTES, pollMs = POLL_MS, onError } = options;
  /** The trace of the last record, by which a new one is known: stamps differ. */
  let last = '';
  let lastMaximum = 0;

  /**
   * The maximum and the trace that belongs to it. The kernel sets the one, then swaps in the other: a look in between,
   * or while records follow each other, is repeated.
   */
  const readBoth = (): { maximum: number; trace: string } => {
    let maximum = 0;
    let trace = '';
    for (let tries = 0; tries < TRIES; tries++) {
      maximum = readMaximum(dir);
      trace = readTrace(dir, traceBytes);
      // 0 after a reset, when the trace is of the record before it.
      if (readMaximum(dir) === maximum && (maximum === 0 || maximum === latencyOf(trace))) break;
    }
    return { maximum, trace };
  };

  const look = (): void => {
    const { maximum, trace } = readBoth();
    const latencyUs = latencyOf(trace);
    if (latencyUs === undefined) {
      // A latency of which nothing was recorded.
      if (maximum > lastMaximum) onRecord(maximum * 1000, '');
      lastMaximum = maximum;
      return;
    }
    // Where they do not belong together, the next poll looks again.
    if (trace !== last || maximum === latencyUs) lastMaximum = maximum;
    if (trace === last) return;
    last = trace;
    onRecord(latencyUs * 1000, trace);
  };

  const reset = (): void => {
    for (let tries = 0; tries < TRIES; tries++) {
      look();
      // Nothing but this comparison lies between looking and writing.
      if (writeZeroIf(dir, (maximum) => maximum === lastMaximum || tries === TRIES - 1)) break;
    }
    lastMaximum = 0;
    // A record made just before the reset has lost its maximum, but its trace is there.
    look();
  };

  const guarded = (): void => {
    try {
      look();
    } catch (error) {
      if (onError === undefined) throw error;
      onError(error);
    }
  };
  // Some begin to measure before anything is recorded: a maximum from then has no trace, and hides what comes.
  writeZeroIf(dir, () => true);
  const stopWatching = watchFile(join(dir, MAXIMUM), guarded);
  const timer = setInterval(() => {
    const maximum = tryReadText(join(dir, MAXIMUM));
    if (maximum === undefined || Number(maximum) !== lastMaximum) guarded();
  }, pollMs);
  timer.unref();
  return {
    reset,
    look,
    close: () => {
      clearInterval(timer);
      stopWatching();
    },
  };
}

/** inotify, as far as the kernel gives any; the poll does the rest. */
function watchFile(file: string, onChange: () => void): () => void {
  try {
    const watcher = watch(file, { persistent: false }, (event) => {
      if (event === 'change') onChange();
    });
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => {};
  }
}

/** Writes 0 to the maximum if what it is just before is as it should be. Throws `KernelError`. */
function writeZeroIf(dir: string, mayWrite: (maximum: number) => boolean): boolean {
  const file = join(dir, MAXIMUM);
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_WRONLY);
    if (!mayWrite(readMaximum(dir))) return false;
    writeSync(fd, '0\n');
    return true;
  } catch (error) {
    throw refusal(error, { file, action: 'write', value: '0' });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Microseconds. Throws `KernelError`. */
function readMaximum(dir: string): number {
  return Number(readText(join(dir, MAXIMUM)));
}

/** `# latency: 26914 us, #6/6, CPU#1 | (M:…`: of the record whose trace this is, in microseconds. */
export function latencyOf(trace: string): number | undefined {
  const digits = /^# latency: (\d+) us,/m.exec(trace.slice(0, 1024))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Text of `trace`, whole lines, up to `bound` bytes. Throws `KernelError`. */
export function readTrace(dir: string, bound: number): string {
  const file = join(dir, 'trace');
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_RDONLY);
    const text = Buffer.alloc(bound);
    let length = 0;
    while (length < bound) {
      const got = readSync(fd, text, length, bound - length, null);
      if (got === 0) return text.toString('utf8', 0, length);
      length += got;
    }
    return text.toString('utf8', 0, text.lastIndexOf(0x0a, length - 1) + 1);
  } catch (error) {
    throw refusal(error, { file, action: 'read' });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
