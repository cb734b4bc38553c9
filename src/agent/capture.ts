import type { KnownSeries, MetricSnapshot } from '../model/metric.ts';
import type { CaptureStatus } from '../model/status.ts';

/** A source of metrics that runs: the live kernel or a replayed capture. Lives in the capture thread. */
export interface Capture {
  /** Why no events will come although it runs; empty when they will. */
  problem: string;
  snapshot(known: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** Ends recording, hands out what is left, and leaves nothing behind in tracefs. */
  stop(): Promise<void>;
}
