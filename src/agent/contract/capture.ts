import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

/** A running source of metrics: the live kernel or a recording. It lives in the capture thread. */
export interface Capture {
  /** Why no events arrive although the capture runs; '' when they arrive. */
  problem: string;
  snapshot(knownSeries: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** Records of a latency tracer, slowest first; undefined when the tracer does not run. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** The history of a recording's metrics; undefined without one. A live history is made in the main thread. */
  history?(): RecordedHistory | undefined;
  /** Stops recording, processes the events that remain, and removes everything it made in tracefs. */
  stop(): Promise<void>;
}
