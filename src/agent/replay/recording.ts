/** A recording as replay sees it, whatever kind of file it is: see `recorded-pages.ts` and `recorded-text.ts`. */
import type { PageError } from '../../decode/page.ts';
import type { FunctionNames } from '../../model/function-names.ts';
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
  functions: FunctionNames;
  /** Why fields of an event cannot be had from it; undefined when they can. */
  unreadable?(type: PlannedType): string | undefined;
  /** Nanoseconds a stamp counts; undefined where they are not known: then there are no durations. */
  nsPerStamp: number | undefined;
  /** The latency tracer whose longest latency it is, instead of events. */
  latency: LatencyRecord | undefined;
  /** Whether it can have an event: a text has it, of pages there is a format. */
  hasEvent(event: string): boolean;
  /** Names of events whose systems it does not tell; absent where it does. */
  namesWithoutSystem?: readonly string[];
  /**
   * What of it feeds a plan. `onBroken`: what began before is void, because a part that is no loss cannot be read.
   */
  stream(
    plan: EventPlan & { onBroken?(cpu: number, untilNs: TimestampNs): void },
    onError: (cpu: number, error: PageError) => void,
  ): EventStream;
  /** What it says of the losses of a CPU; undefined when it says nothing. */
  stats(cpu: number): BufferStats | undefined;
  /** Warnings once it has been read; `hasErrors`: some of it could not be decoded. */
  problems(hasErrors: boolean): string[];
  /** Whether what comes last on a CPU is missing. */
  isCut(cpu: number): boolean;
  close(): void;
}

export interface OpenOptions {
  /** The buffer to read, of a file with several. */
  instance: string | undefined;
  /** Told how much has been read, and of how much. */
  onProgress: (done: number, of: number) => void;
  pagesPerRound: number | undefined;
}
