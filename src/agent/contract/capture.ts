import type { AgentConfig } from '../../config/schema.ts';
import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

/** A running source of metrics: the live kernel or a recording. It runs in the capture thread. */
export interface Capture {
  /** Why some or all events do not arrive; '' if all arrive. */
  problem: string;
  snapshot(knownSeries: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** Records of a latency tracer, slowest first. Undefined if the tracer is not running. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** History of a recording's metrics. Undefined for a live capture, because the main thread keeps its history. */
  history?(): RecordedHistory | undefined;
  /**
   * Switches to another config. Probes and buffers that do not change continue to run. If `reload` throws, the capture
   * has ended. Absent for a recording.
   */
  reload?(config: AgentConfig): void;
  /** Stops recording, processes the remaining events, and removes everything that the capture created in tracefs. */
  stop(): Promise<void>;
}
