/**
 * The worst records of each latency tracer: records enter as they are met, a list a tracer leaves, worst first. The
 * kernel tells of a latency only when it is longer than all since its maximum was reset, so it is reset once a window.
 */
import type { LatencyRecord } from '../model/tracer.ts';

/** Windows looked back on, which are `max_window` together. */
const WINDOWS = 8;

export interface LatencyLog {
  /** `reset` makes the kernel forget its maximum; called when a window ends. */
  watch(tracer: string, reset: () => void): void;
  forget(tracer: string): void;
  /** A longer one replaces what the present window has. */
  add(record: LatencyRecord): void;
  /** Ends windows whose time has come; `nowMs` is monotonic. */
  refresh(nowMs: number): void;
  /** Undefined for a tracer that is not watched. */
  of(tracer: string): LatencyRecord[] | undefined;
}

interface Watched {
  reset(): void;
  /** The present window's first. */
  windows: (LatencyRecord | undefined)[];
}

export function makeLatencyLog(maxWindowMs: number): LatencyLog {
  const byTracer = new Map<string, Watched>();
  const windowMs = maxWindowMs / WINDOWS;
  let endsAtMs = performance.now() + windowMs;
  return {
    watch: (tracer, reset) => void byTracer.set(tracer, { reset, windows: [undefined] }),
    forget: (tracer) => void byTracer.delete(tracer),
    add: (record) => {
      const windows = byTracer.get(record.tracer)?.windows;
      if (windows !== undefined && record.latencyNs > (windows[0]?.latencyNs ?? 0)) windows[0] = record;
    },
    refresh: (nowMs) => {
      if (nowMs < endsAtMs) return;
      endsAtMs = nowMs + windowMs;
      for (const { reset, windows } of byTracer.values()) {
        // What the kernel has now still belongs to the window that ends.
        reset();
        windows.unshift(undefined);
        if (windows.length > WINDOWS + 1) windows.length = WINDOWS + 1;
      }
    },
    of: (tracer) =>
      byTracer
        .get(tracer)
        ?.windows.filter((record) => record !== undefined)
        .sort((a, b) => b.latencyNs - a.latencyNs),
  };
}
