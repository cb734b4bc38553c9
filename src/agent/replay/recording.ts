/** A recording to replay, implemented for trace.dat in `recorded-pages.ts` and for text in `recorded-text.ts`. */
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
  /**
   * Nanoseconds per unit of the timestamps. Undefined if the unit is unknown; the replay then measures no durations.
   */
  nsPerStamp: number | undefined;
  /**
   * The latency record, if the recording is the text of a latency tracer. This text contains no events. Otherwise
   * undefined.
   */
  latency: LatencyRecord | undefined;
  /**
   * Whether the recording can contain an event. For text: whether it contains the event. For trace.dat: whether the
   * file has the event's format.
   */
  hasEvent(event: string): boolean;
  /** Event names in text whose systems are unknown. Absent for trace.dat, which contains the systems. */
  namesWithoutSystem?: readonly string[];
  /**
   * Opens the stream for a plan. If the stream cannot parse a text line, it calls `onBroken` to drop open operations
   * (begun but not ended).
   */
  stream(
    plan: EventPlan & { onBroken?(cpu: number, untilNs: TimestampNs): void },
    onError: (cpu: number, error: PageError) => void,
  ): EventStream;
  /** Loss counters of a CPU; undefined if the recording contains none. */
  stats(cpu: number): BufferStats | undefined;
  /**
   * Returns warnings about the recording. Call this after the whole recording was read. `hasErrors`: whether the
   * decoder has reported errors.
   */
  problems(hasErrors: boolean): string[];
  /** Whether a CPU's last pages are missing from the file. */
  isCut(cpu: number): boolean;
  close(): void;
}

export interface OpenOptions {
  /** Name of the buffer to read, if the file has several. */
  instance: string | undefined;
  /** Called with the number of pages (trace.dat) or bytes (text) that were read, and the total. */
  onProgress: (done: number, total: number) => void;
  pagesPerRound: number | undefined;
}
