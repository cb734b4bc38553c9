import type { AgentConfig } from '../../config/schema.ts';
import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

/** The live kernel or a recording, as a source of metrics in the capture thread. */
export interface Capture {
  /** Why events are missing; '' if no reason is known. Not updated after the start. */
  problem: string;
  snapshot(knownSeries: KnownSeries): MetricSnapshot;
  status(): CaptureStatus;
  /** The longest latencies of a latency tracer, longest first. Undefined if the tracer is not running. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** Undefined if a replay kept no history. Absent for a live capture: the main thread keeps that history. */
  history?(): RecordedHistory | undefined;
  /** Switches to another config. If it throws, the capture has ended. Absent for a recording. */
  reload?(config: AgentConfig): void;
  /** Processes the remaining events and removes everything that the capture created in tracefs. */
  stop(): Promise<void>;
}
