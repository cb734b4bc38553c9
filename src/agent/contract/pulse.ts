/**
 * The time of the capture thread's last drain (a read of all buffers), and the CPU time that the thread has used for
 * reading and decoding. Both are in shared memory, so that the main thread can read them even if the capture thread
 * hangs.
 */

/**
 * Returns the monotonic time in ms, which does not advance while the machine sleeps. Both threads can compare these
 * times, because `hrtime`, unlike `performance.now`, has the same origin in all threads.
 */
function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

/** CPU time that the capture thread has used for its two main phases. */
export interface PhaseCpu {
  readSeconds: number;
  decodeSeconds: number;
}

/** Indexes in the shared memory. */
const DRAINED = 0;
const READ = 1;
const DECODE = 2;

export interface Pulse {
  memory: SharedArrayBuffer;
  /**
   * Makes `ageMs` count from now, unless a drain has already happened. Without this call, `ageMs` would stay undefined
   * if the thread hangs before its first drain.
   */
  begin(): void;
  /** Milliseconds since the last drain or, before the first drain, since `begin`. Undefined before `begin`. */
  ageMs(): number | undefined;
  cpu(): PhaseCpu;
}

export function makePulse(): Pulse {
  const memory = new SharedArrayBuffer(3 * Float64Array.BYTES_PER_ELEMENT);
  const at = new Float64Array(memory);
  return {
    memory,
    begin: () => {
      if (at[DRAINED] === 0) at[DRAINED] = nowMs();
    },
    ageMs: () => (at[DRAINED] === 0 ? undefined : nowMs() - at[DRAINED]),
    cpu: () => ({ readSeconds: at[READ], decodeSeconds: at[DECODE] }),
  };
}

/** Returns the function that the capture thread calls after each drain with its total CPU times. */
export function pulseWriter(memory: SharedArrayBuffer): (cpu: PhaseCpu) => void {
  const at = new Float64Array(memory);
  return ({ readSeconds, decodeSeconds }) => {
    at[READ] = readSeconds;
    at[DECODE] = decodeSeconds;
    at[DRAINED] = nowMs();
  };
}
