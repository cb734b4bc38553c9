import type { EventFormat } from '../../model/format.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { PageError } from '../page.ts';

/** An event with handlers, and the fields that the handlers read. */
export interface TextEventType {
  /** `system:name` */
  event: string;
  format: EventFormat;
  fields: readonly string[];
  /** Fields that contain addresses of functions. The text must contain the functions' names. */
  addresses?: readonly string[];
}

/** Receives losses and errors. */
export interface TextTarget {
  /** Events of `cpu` before `untilNs` were lost. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /**
   * A line can't be parsed, or its handler threw. Operations that began before `untilNs` must be dropped. Default:
   * `onLoss`.
   */
  onBroken?(cpu: number, untilNs: TimestampNs): void;
  /** A line can't be decoded, or a handler threw. `cpu` is -1 if the line does not contain a CPU. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}
