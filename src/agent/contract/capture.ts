import type { AgentConfig } from '../../config/schema.ts';
import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

/** A running source of metrics in the capture thread: the live kernel or a recording. */
export interface Capture {
  /** Why events are missing, as far as known when the capture starts; '' if no reason is known. */
  problem: string;
  snapshot(knownSeries: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** Longest latencies that a latency tracer recorded, longest first. Undefined if the tracer is not running. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /**
   * History of a recording's metrics; undefined if the replay kept none. A live capture lacks this method, because the
   * main thread keeps the history of live metrics.
   */
  history?(): RecordedHistory | undefined;
  /**
   * Switches to another config. Probes and buffers that do not change continue to run. If `reload` throws, the capture
   * has ended. Absent for a recording.
   */
  reload?(config: AgentConfig): void;
  /**
   * Stops tracing, processes the remaining events, and removes everything that the capture created in tracefs. For a
   * recording, does nothing.
   */
  stop(): Promise<void>;
}
