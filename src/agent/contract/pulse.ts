/**
 * The time of the capture thread's last drain, in memory that both threads share. So the main thread can see how long
 * ago that was even when the capture thread hangs.
 */

/** Monotonic clock that both threads share, in ms; it stands still while the machine sleeps. */
function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

export interface Pulse {
  memory: SharedArrayBuffer;
  /** Counts from now on, unless there was a drain already: a thread that never gets to its first one hangs, too. */
  begin(): void;
  /** Milliseconds since the last drain or since `begin`; undefined before either. */
  ageMs(): number | undefined;
}

export function makePulse(): Pulse {
  const memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  const at = new Float64Array(memory);
  return {
    memory,
    begin: () => {
      if (at[0] === 0) at[0] = nowMs();
    },
    ageMs: () => (at[0] === 0 ? undefined : nowMs() - at[0]),
  };
}

/** Returns the function to call after each drain. */
export function pulseWriter(memory: SharedArrayBuffer): () => void {
  const at = new Float64Array(memory);
  return () => {
    at[0] = nowMs();
  };
}
