/**
 * Reports each new maximum in `tracing_max_latency`, with the text of `trace`. `reset` sets the maximum to 0, so that
 * the next latency is a new maximum even if it is shorter. The reset does not change `trace`.
 */
import { closeSync, constants, openSync, readSync, watch, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readText, refusal, tryReadText } from './files.ts';

export interface LatencyWatch {
  /** Calls `onRecord` if there is a new maximum, then sets the maximum to 0. Throws `KernelError`. */
  reset(): void;
  /** Calls `onRecord` if there is a new maximum. Throws `KernelError`. */
  look(): void;
  close(): void;
}

export interface LatencyWatchOptions {
  /** Maximum size of a trace's text in bytes. */
  traceBytes?: number;
  /** Milliseconds between checks. Some kernels do not report changes of the file through inotify. */
  pollMs?: number;
  /** Called if the instance can no longer be read. */
  onError?: (error: unknown) => void;
}

const TRACE_BYTES = 1 << 16;
const POLL_MS = 1000;
const TRIES = 5;
const MAXIMUM = 'tracing_max_latency';

/** First resets the maximum. `latencyNs` is a multiple of 1000; `trace` is '' if missing. Throws `KernelError`. */
export function watchMaxLatency(
  dir: string,
  onRecord: (latencyNs: number, trace: string) => void,
  options: LatencyWatchOptions = {},
): LatencyWatch {
  const { traceBytes = TRACE_BYTES, pollMs = POLL_MS, onError } = options;
  /** Trace of the last reported latency. Traces of two latencies differ in their timestamps. */
  let last = '';
  let lastMaximum = 0;

  /** Reads both again if the maximum changed while the trace was read. */
  const readBoth = (): { maximum: number; trace: string } => {
    let maximum = readMaximum(dir);
    let trace = '';
    for (let tries = 0; tries < TRIES; tries++) {
      trace = readTrace(dir, traceBytes);
      const before = maximum;
      maximum = readMaximum(dir);
      if (maximum === before) break;
    }
    return { maximum, trace };
  };

  const look = (): void => {
    const { maximum, trace } = readBoth();
    const latencyUs = latencyOf(trace);
    let reportedUs = lastMaximum;
    if (latencyUs !== undefined && trace !== last) {
      last = trace;
      reportedUs = latencyUs;
      onRecord(latencyUs * 1000, trace);
    }
    // With options/pause-on-trace, the maximum can rise without a new trace.
    if (maximum > reportedUs) onRecord(maximum * 1000, '');
    lastMaximum = maximum;
  };

  const reset = (): void => {
    for (let tries = 0; tries < TRIES; tries++) {
      look();
      // Write immediately after the comparison, so that the kernel has little time to set a new maximum in between.
      if (writeZeroIf(dir, (maximum) => maximum === lastMaximum || tries === TRIES - 1)) break;
    }
    lastMaximum = 0;
    // The reset can overwrite a newer maximum, but the trace of that maximum, with its latency, is still there.
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
  // Before recording begins, some tracers set a maximum without a trace. This maximum would hide shorter latencies.
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

/** Watches a file with inotify. If the kernel does not support this, only the timer notices changes. */
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

/** Sets the maximum to 0 if `mayWrite` accepts the current maximum; else returns false. Throws `KernelError`. */
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

/** In microseconds. Throws `KernelError`. */
function readMaximum(dir: string): number {
  return Number.parseInt(readText(join(dir, MAXIMUM)), 10);
}

/** Returns microseconds from the line `# latency: 26914 us, …`, or undefined if there is no such line. */
export function latencyOf(trace: string): number | undefined {
  const digits = /^# latency: (\d+) us,/m.exec(trace.slice(0, 1024))?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Returns the complete lines at the start of `trace` that fit into `bound` bytes. Throws `KernelError`. */
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
