/** A recording as replay sees it, whatever the type of file: see `recorded-pages.ts` and `recorded-text.ts`. */
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
  /** Why the recording cannot provide an event's fields; undefined if it can. */
  unreadable?(type: PlannedType): string | undefined;
  /** Nanoseconds per unit of the timestamps. Undefined if unknown; then there are no durations. */
  nsPerStamp: number | undefined;
  /** The latency record, if the recording has one instead of events. */
  latency: LatencyRecord | undefined;
  /** Whether the recording can contain an event: the text contains it, or the file has its format. */
  hasEvent(event: string): boolean;
  /** Event names whose systems are unknown. Absent if the recording contains the systems. */
  namesWithoutSystem?: readonly string[];
  /** Opens the stream for a plan. The stream calls `onBroken` if it cannot parse a line, to drop open operations. */
  stream(
    plan: EventPlan & { onBroken?(cpu: number, untilNs: TimestampNs): void },
    onError: (cpu: number, error: PageError) => void,
  ): EventStream;
  /** The recording's loss counters of a CPU; undefined if it has none. */
  stats(cpu: number): BufferStats | undefined;
  /** Warnings to show after the recording was read. `hasErrors`: some of it could not be decoded. */
  problems(hasErrors: boolean): string[];
  /** Whether the last pages of a CPU are missing. */
  isCut(cpu: number): boolean;
  close(): void;
}

export interface OpenOptions {
  /** Name of the buffer to read, if the file has several. */
  instance: string | undefined;
  /** Called with the amount that has been read, and the total. */
  onProgress: (done: number, total: number) => void;
  pagesPerRound: number | undefined;
}
