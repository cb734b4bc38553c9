/** Messages between the main thread and the capture thread. */

import type { AgentConfig } from '../../config/schema.ts';
import type { RecordedHistory } from '../../history/recorded.ts';
import type { KnownSeries, MetricSnapshot } from '../../model/metric.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

export interface CaptureInput {
  config: AgentConfig;
  /** The recording to serve. Undefined: the live kernel. */
  replayFile: string | undefined;
  /** Name of the recording's buffer. Undefined: the default buffer (see `ReplayOptions`). */
  replayInstance: string | undefined;
  /** See `pulse.ts`. */
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
  /** The capture is set up. `problem`: why events are missing; '' if no reason is known. */
  | { kind: 'ready'; problem: string }
  /** The reason for missing events has changed; '' if all events arrive again. */
  | { kind: 'problem'; problem: string }
  /** Asks the main thread to write `text` to the trace marker `file`. The marker's event shows its host pid. */
  | { kind: 'mark'; id: number; file: string; text: string }
  | {
      kind: 'answer';
      id: number;
      value: MetricSnapshot | CaptureStatus | LatencyRecord[] | RecordedHistory | undefined;
    }
  | { kind: 'refused'; id: number; reason: string }
  /** Finished traces of slow operations. Sent about once a second, if there are any. */
  | { kind: 'traces'; traces: readonly TraceRecord[] }
  | {
      kind: 'log';
      level: 'debug' | 'info' | 'warn' | 'error';
      fields: Record<string, unknown>;
      message: string;
    }
  /** The capture cannot continue. `final`: another attempt would fail in the same way. */
  | { kind: 'fatal'; message: string; final: boolean };
