import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

/** A source of metrics that runs: the live kernel or a replayed capture. Lives in the capture thread. */
export interface Capture {
  /** Why no events will come although it runs; empty when they will. */
  problem: string;
  snapshot(known: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** The worst records of a latency tracer, worst first; undefined when it does not run. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** Ends recording, hands out what is left, and leaves nothing behind in tracefs. */
  stop(): Promise<void>;
}
