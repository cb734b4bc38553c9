import type { EventFormat } from '../../model/format.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { PageError } from '../page.ts';

/** An event that has a handler, and the fields its handlers read, without the common fields. */
export interface TextEventType {
  /** `system:name` */
  event: string;
  format: EventFormat;
  fields: readonly string[];
  /** The fields that must be printed as names of functions. */
  addresses?: readonly string[];
}

/** Receives everything that happens to the stream except the events. */
export interface TextTarget {
  /** Events of `cpu` were lost before the one at `untilNs`. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /** A line of `cpu` can't be parsed: operations that began before `untilNs` are dropped. Defaults to `onLoss`. */
  onBroken?(cpu: number, untilNs: TimestampNs): void;
  /** A line, or a handler's work on it, failed. `cpu` is -1 if the line does not contain it. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}
