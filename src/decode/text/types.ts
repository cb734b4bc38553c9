import type { EventFormat } from '../../model/format.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { PageError } from '../page.ts';

/** An event that somebody handles, and the fields its handlers read, common ones not counted. */
export interface TextEventType {
  /** `system:name` */
  event: string;
  format: EventFormat;
  fields: readonly string[];
}

/** Who is told what happens to the stream beside events. */
export interface TextTarget {
  /** Events of `cpu` were lost before the one at `untilNs`. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /**
   * A line of `cpu` cannot be read: what began before `untilNs` is void, as after a loss. By default it is told as one.
   */
  onBroken?(cpu: number, untilNs: TimestampNs): void;
  /** A line, or what a handler made of it, was no good. `cpu` is -1 where the line does not tell. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}
