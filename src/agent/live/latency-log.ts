/**
 * The slowest records of each latency tracer, over the last `max_window`. The kernel reports a latency only if it is
 * longer than all others since its maximum was reset, so the maximum is reset once per window.
 */
import type { LatencyRecord } from '../../model/tracer.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { type LatencyWatch, watchMaxLatency } from '../../tracefs/latency.ts';

/** Number of windows that together cover `max_window`. */
const WINDOWS = 8;

export interface LatencyLog {
  /**
   * Starts to watch a tracer. A maximum from before recording began has no trace and is discarded. Throws
   * `KernelError`. Later failures to read go to `onError`.
   */
  watch(
    instance: Pick<Instance, 'dir' | 'set'>,
    tracer: string,
    listener: { onLatency(latencyNs: number, trace: string): void; onError(error: unknown): void },
  ): void;
  forget(tracer: string): void;
  /** Starts the tracer's next window when the current one is over; `nowMs` is monotonic. Throws `KernelError`. */
  refresh(tracer: string, nowMs: number): void;
  /** The tracer's records, slowest first; undefined if it is not watched. */
  records(tracer: string): LatencyRecord[] | undefined;
}

interface Watched {
  watch: LatencyWatch;
  /** The slowest record of each window, the current window first. */
  windows: (LatencyRecord | undefined)[];
  endsAtMs: number;
}

export function makeLatencyLog(maxWindowMs: number): LatencyLog {
  const byTracer = new Map<string, Watched>();
  const windowMs = maxWindowMs / WINDOWS;
  return {
    watch: (instance, tracer, { onLatency, onError }) => {
      instance.set('tracing_max_latency', '0');
      const windows: Watched['windows'] = [undefined];
      const onRecord = (latencyNs: number, trace: string) => {
        onLatency(latencyNs, trace);
        const record = { tracer, latencyNs, trace, atMs: Date.now() };
        if (latencyNs > (windows[0]?.latencyNs ?? 0)) windows[0] = record;
      };
      const watch = watchMaxLatency(instance.dir, onRecord, { onError });
      byTracer.set(tracer, { watch, windows, endsAtMs: performance.now() + windowMs });
    },
    forget: (tracer) => {
      byTracer.get(tracer)?.watch.close();
      byTracer.delete(tracer);
    },
    refresh: (tracer, nowMs) => {
      const watched = byTracer.get(tracer);
      if (watched === undefined || nowMs < watched.endsAtMs) return;
      watched.endsAtMs = nowMs + windowMs;
      // The maximum that the kernel holds now still belongs to the window that ends.
      watched.watch.reset();
      watched.windows.unshift(undefined);
      if (watched.windows.length > WINDOWS + 1) watched.windows.length = WINDOWS + 1;
    },
    records: (tracer) =>
      byTracer
        .get(tracer)
        ?.windows.filter((record) => record !== undefined)
        .sort((a, b) => b.latencyNs - a.latencyNs),
  };
}
