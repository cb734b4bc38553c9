/**
 * Records of a latency tracer: each time it meets a latency longer than any before, that latency and its trace come
 * out. Between a look and a reset none is missed: the trace of the last record stays, whatever is written to its
 * maximum. Source: kernel/trace/trace.c, __update_max_tr(), latency_fsnotify().
 */
import { closeSync, constants, openSync, readSync, watch } from 'node:fs';
import { join } from 'node:path';
import { readText, refusal, tryReadText, writeControl } from './files.ts';

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

/** `dir` is an instance whose tracer is a latency tracer. `onRecord` gets nanoseconds, in steps of a microsecond. */
export function watchMaxLatency(
  dir: string,
  onRecord: (latencyNs: number, trace: string) => void,
  options: LatencyWatchOptions = {},
): LatencyWatch {
  const { traceBytes = TRACE_BYTES, pollMs = POLL_MS, onError } = options;
  /** The trace of the last record, by which a new one is known: stamps differ. */
  let last = '';
  let lastMaximum = 0;

  /** The trace and the maximum that belongs to it: while records follow each other, reading is not at one moment. */
  const readBoth = (): { maximum: number; trace: string } => {
    let maximum = readMaximum(dir);
    let trace = '';
    for (let tries = 0; tries < TRIES; tries++) {
      trace = readTrace(dir, traceBytes);
      const after = readMaximum(dir);
      if (after === maximum) break;
      maximum = after;
    }
    return { maximum, trace };
  };

  const take = ({ maximum, trace }: { maximum: number; trace: string }): void => {
    const latencyUs = latencyOf(trace) ?? maximum;
    const isNew = trace === '' ? maximum > lastMaximum : trace !== last && latencyUs > 0;
    lastMaximum = maximum;
    if (!isNew) return;
    last = trace;
    onRecord(latencyUs * 1000, trace);
  };

  const look = (): void => take(readBoth());

  const reset = (): void => {
    look();
    writeControl(dir, MAXIMUM, '0');
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
