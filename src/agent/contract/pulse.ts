/**
 * When the capture thread last read the buffers, in memory that both threads see: the main thread can tell how long ago
 * that was even while the capture thread hangs.
 */

/** Clock that both threads share, in ms; it stands still while the machine sleeps. */
function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

export interface Pulse {
  memory: SharedArrayBuffer;
  /** Undefined before the first drain. */
  ageMs(): number | undefined;
}

export function makePulse(): Pulse {
  const memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  const at = new Float64Array(memory);
  return { memory, ageMs: () => (at[0] === 0 ? undefined : nowMs() - at[0]) };
}

/** Gives what to call after each drain. */
export function pulseWriter(memory: SharedArrayBuffer): () => void {
  const at = new Float64Array(memory);
  return () => {
    at[0] = nowMs();
  };
}
