/**
 * What crosses between the main thread and the capture thread: requests with their answers, the log, and the word
 * that events can be read. Plain data only.
 */

import type { AgentConfig } from '../../config/schema.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

export interface CaptureInput {
  config: AgentConfig;
  /** A capture to serve instead of the live kernel. */
  replayFile: string | undefined;
  /** The buffer of it to serve; undefined leaves the choice. */
  replayInstance: string | undefined;
  /** One number: when the buffers were last read (see pulse.ts). A thread that hangs cannot be asked. */
  pulse: SharedArrayBuffer;
}

export type ToCapture =
  | { kind: 'snapshot'; id: number; known: KnownSeries }
  | { kind: 'status'; id: number }
  | { kind: 'latency'; id: number; tracer: string }
  | { kind: 'marked'; id: number }
  | { kind: 'stop'; id: number };

export type FromCapture =
  /** Set up, and asked from now on. `problem`: why no events will come all the same; empty when they will. */
  | { kind: 'ready'; problem: string }
  /** The same, changed since. */
  | { kind: 'problem'; problem: string }
  /** The main thread is to write `text` to `file`, so that its thread id shows in the trace. */
  | { kind: 'mark'; id: number; file: string; text: string }
  | { kind: 'answer'; id: number; value: MetricSnapshot | CaptureStatus | LatencyRecord[] | undefined }
  | { kind: 'refused'; id: number; reason: string }
  /** Slow operations of the last second. */
  | { kind: 'traces'; traces: readonly TraceRecord[] }
  | {
      kind: 'log';
      level: 'debug' | 'info' | 'warn' | 'error';
      fields: Record<string, unknown>;
      message: string;
    }
  /** Capture cannot go on; `usage`: nothing will change by trying again. */
  | { kind: 'fatal'; message: string; final: boolean };
