/** A recording to replay: a trace.dat file or text. */
import type { PageError } from '../../decode/page.ts';
import type { FunctionLookup } from '../../model/function-names.ts';
import type { BufferStats, TraceMetadata } from '../../model/source.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { LatencyRecord } from '../../model/tracer.ts';
import type { EventPlan, PlannedType } from '../plan/plan.ts';
import type { EventStream } from '../stream/stream.ts';

export interface Recording {
  reader: 'capture' | 'text';
  metadata: Omit<TraceMetadata, 'layout'>;
  subbufferBytes: number;
  cpus: readonly number[];
  functions: FunctionLookup;
  /** Returns why the recording cannot provide an event's fields; undefined if it can. */
  unreadable?(type: PlannedType): string | undefined;
  /** Undefined if the unit of the timestamps is unknown; the replay then measures no durations. */
  nsPerStamp: number | undefined;
  /** Set for the text of a latency tracer, which contains no events. */
  latency: LatencyRecord | undefined;
  /** For trace.dat, whether the file has the event's format. For text, whether the text contains the event. */
  hasEvent(event: string): boolean;
  /** Event names in text whose systems are unknown. */
  namesWithoutSystem?: readonly string[];
  /** The stream calls `onBroken` if it cannot parse a text line. */
  stream(
    plan: EventPlan & { onBroken?(cpu: number, untilNs: TimestampNs): void },
    onError: (cpu: number, error: PageError) => void,
  ): EventStream;
  /** Undefined if the recording has no loss counters. */
  stats(cpu: number): BufferStats | undefined;
  /** Warnings about the recording, after all of it was read. `hasErrors`: whether the decoder has reported errors. */
  problems(hasErrors: boolean): string[];
  /** Whether a CPU's last pages are missing from the file. */
  isCut(cpu: number): boolean;
  close(): void;
}

export interface OpenOptions {
  /** Name of the buffer to read, if the file has several. */
  instance: string | undefined;
  /** Counts pages (trace.dat) or bytes (text). */
  onProgress: (done: number, total: number) => void;
  pagesPerRound: number | undefined;
}
