/**
 * Messages between the main thread and the capture thread. All messages contain only plain data, which `postMessage`
 * can copy.
 */

import type { AgentConfig } from '../../config/schema.ts';
import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

export interface CaptureInput {
  config: AgentConfig;
  /** The recording to serve instead of the live kernel. */
  replayFile: string | undefined;
  /** Name of the buffer to serve, if the recording has several. Undefined: the default buffer. */
  replayInstance: string | undefined;
  /**
   * Time of the last read of the buffers, and the CPU time used (see pulse.ts), in shared memory, because a thread that
   * hangs does not answer messages.
   */
  pulse: SharedArrayBuffer;
}

export type ToCapture =
  | { kind: 'snapshot'; id: number; knownSeries: KnownSeries }
  | { kind: 'status'; id: number }
  | { kind: 'latency'; id: number; tracer: string }
  | { kind: 'history'; id: number }
  | { kind: 'marked'; id: number }
  | { kind: 'reload'; id: number; config: AgentConfig }
  | { kind: 'stop'; id: number };

export type FromCapture =
  /** The capture is set up and answers requests. `problem`: why events do not arrive; '' if all arrive. */
  | { kind: 'ready'; problem: string }
  /** The `problem` that `ready` contained has changed. */
  | { kind: 'problem'; problem: string }
  /** Asks the main thread to write `text` to `file`, so that the trace contains the main thread's id. */
  | { kind: 'mark'; id: number; file: string; text: string }
  | {
      kind: 'answer';
      id: number;
      value: MetricSnapshot | CaptureStatus | LatencyRecord[] | RecordedHistory | undefined;
    }
  | { kind: 'refused'; id: number; reason: string }
  /** Traces of slow operations that were finished in the last second. */
  | { kind: 'traces'; traces: readonly TraceRecord[] }
  | {
      kind: 'log';
      level: 'debug' | 'info' | 'warn' | 'error';
      fields: Record<string, unknown>;
      message: string;
    }
  /** The capture cannot continue. `final`: another attempt would fail in the same way. */
  | { kind: 'fatal'; message: string; final: boolean };
