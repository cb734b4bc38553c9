/** A recording as replay sees it, for every kind of file: see `recorded-pages.ts` and `recorded-text.ts`. */
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
  /** Nanoseconds per unit of the stamps; undefined if not known, and then there are no durations. */
  nsPerStamp: number | undefined;
  /** The latency record, if the recording has one instead of events. */
  latency: LatencyRecord | undefined;
  /** Whether the recording can have an event: text contains it, or pages have its format. */
  hasEvent(event: string): boolean;
  /** Event names whose systems the recording does not give; absent if it gives them. */
  namesWithoutSystem?: readonly string[];
  /**
   * Opens the stream that feeds a plan. `onBroken` voids open intervals when a part cannot be read that is not a loss.
   */
  stream(
    plan: EventPlan & { onBroken?(cpu: number, untilNs: TimestampNs): void },
    onError: (cpu: number, error: PageError) => void,
  ): EventStream;
  /** The recording's loss counts of a CPU; undefined if it has none. */
  stats(cpu: number): BufferStats | undefined;
  /** Warnings after the recording was read. `hasErrors`: some of it could not be decoded. */
  problems(hasErrors: boolean): string[];
  /** Whether a CPU's last pages are missing. */
  isCut(cpu: number): boolean;
  close(): void;
}

export interface OpenOptions {
  /** Name of the buffer to read, of a file with several. */
  instance: string | undefined;
  /** Called with how much has been read, and the total. */
  onProgress: (done: number, total: number) => void;
  pagesPerRound: number | undefined;
}
