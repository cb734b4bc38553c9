/**
 * Shared memory with the time of the capture thread's last drain (a read of all buffers) and its CPU times. The main
 * thread can read it even if the capture thread hangs.
 */

/** Uses `hrtime`, because it has the same origin in all threads, unlike `performance.now`. */
function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

export interface PhaseCpu {
  readSeconds: number;
  decodeSeconds: number;
}

const DRAINED = 0;
const READ = 1;
const DECODE = 2;

export interface Pulse {
  memory: SharedArrayBuffer;
  /** Makes `ageMs` count from now, so that it grows even if the thread hangs before its first drain. */
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

/** Returns the function to call after each drain, with the total CPU times. */
export function pulseWriter(memory: SharedArrayBuffer): (cpu: PhaseCpu) => void {
  const at = new Float64Array(memory);
  return ({ readSeconds, decodeSeconds }) => {
    at[READ] = readSeconds;
    at[DECODE] = decodeSeconds;
    at[DRAINED] = nowMs();
  };
}
