import type { AgentConfig } from '../../config/schema.ts';
import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

/** A running source of metrics: the live kernel or a recording. It runs in the capture thread. */
export interface Capture {
  /** Why no events arrive although the capture is running; '' if they arrive. */
  problem: string;
  snapshot(knownSeries: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** Records of a latency tracer, slowest first. Undefined if the tracer is not running. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** History of a recording's metrics; undefined otherwise. The main thread keeps the history of a live capture. */
  history?(): RecordedHistory | undefined;
  /**
   * Switches to another config and keeps everything that is the same in both. Throws if that fails; the capture has
   * then ended. Absent for a recording.
   */
  reload?(config: AgentConfig): void;
  /** Stops recording, processes the remaining events, and removes everything that the capture created in tracefs. */
  stop(): Promise<void>;
}
