/**
 * The worst records of each latency tracer: instances enter, a list a tracer leaves, worst first. The kernel tells of
 * a latency only when it is longer than all since its maximum was reset, so it is reset once a window.
 */
import type { LatencyRecord } from '../../model/tracer.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { type LatencyWatch, watchMaxLatency } from '../../tracefs/latency.ts';

/** Windows looked back on, which are `max_window` together. */
const WINDOWS = 8;

export interface LatencyLog {
  /**
   * From now on; what the tracer met before it recorded has no trace and is forgotten. Throws `KernelError`; later
   * `onError` is told when it can no longer be looked at.
   */
  watch(
    instance: Pick<Instance, 'dir' | 'set'>,
    tracer: string,
    told: { onLatency(latencyNs: number, trace: string): void; onError(error: unknown): void },
  ): void;
  forget(tracer: string): void;
  /** Ends the tracer's window when its time has come; `nowMs` is monotonic. Throws `KernelError`. */
  refresh(tracer: string, nowMs: number): void;
  /** Undefined for a tracer that is not watched. */
  of(tracer: string): LatencyRecord[] | undefined;
}

interface Watched {
  watch: LatencyWatch;
  /** The worst of each window, the present one's first. */
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
      // What the kernel has now still belongs to the window that ends.
      watched.watch.reset();
      watched.windows.unshift(undefined);
      if (watched.windows.length > WINDOWS + 1) watched.windows.length = WINDOWS + 1;
    },
    of: (tracer) =>
      byTracer
        .get(tracer)
        ?.windows.filter((record) => record !== undefined)
        .sort((a, b) => b.latencyNs - a.latencyNs),
  };
}
