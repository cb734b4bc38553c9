/**
 * Keeps the longest latencies that each latency tracer recorded during the last `max_window`. The kernel records only a
 * new maximum, so the agent resets the maximum after each eighth of `max_window`.
 */
import type { LatencyRecord } from '../../model/tracer.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { type LatencyWatch, watchMaxLatency } from '../../tracefs/latency.ts';

const WINDOWS = 8;

export interface LatencyLog {
  /** Starts to watch a tracer. Throws `KernelError`. Calls `onError` if a later read fails. */
  watch(
    instance: Pick<Instance, 'dir' | 'set'>,
    tracer: string,
    listener: { onLatency(latencyNs: number, trace: string): void; onError(error: unknown): void },
  ): void;
  forget(tracer: string): void;
  /** Starts the next window if the current one is over. `nowMs` is monotonic. Throws `KernelError`. */
  refresh(tracer: string, nowMs: number): void;
  /** Longest latency first. Undefined if the tracer is not watched. */
  records(tracer: string): LatencyRecord[] | undefined;
}

interface Watched {
  watch: LatencyWatch;
  /** Newest window first. Each has its longest latency and, if this has no trace, the longest one with a trace. */
  windows: LatencyRecord[][];
  endsAtMs: number;
}

export function makeLatencyLog(maxWindowMs: number): LatencyLog {
  const byTracer = new Map<string, Watched>();
  const windowMs = maxWindowMs / WINDOWS;
  return {
    watch: (instance, tracer, { onLatency, onError }) => {
      instance.set('tracing_max_latency', '0');
      const windows: Watched['windows'] = [[]];
      const onRecord = (latencyNs: number, trace: string) => {
        onLatency(latencyNs, trace);
        const all = [...windows[0], { tracer, latencyNs, trace, atMs: Date.now() }].sort(slowestFirst);
        const traced = all.find((record) => record.trace !== '');
        windows[0] = all.filter((record) => record === all[0] || record === traced);
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
      // Reset before the new window starts, because the reset can still report a maximum from the old window.
      watched.watch.reset();
      watched.windows.unshift([]);
      if (watched.windows.length > WINDOWS + 1) watched.windows.length = WINDOWS + 1;
    },
    records: (tracer) => byTracer.get(tracer)?.windows.flat().sort(slowestFirst),
  };
}

function slowestFirst(a: LatencyRecord, b: LatencyRecord): number {
  return b.latencyNs - a.latencyNs;
}
