import type { EventFormat } from '../../model/format.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { PageError } from '../page.ts';

/** An event that has handlers, and the names of the fields that the handlers read. */
export interface TextEventType {
  /** `system:name` */
  event: string;
  format: EventFormat;
  fields: readonly string[];
  /** Fields that contain addresses of functions. The text must print them as function names. */
  addresses?: readonly string[];
}

/** Receives losses and errors. The dispatcher receives the events. */
export interface TextTarget {
  /** Called if events of `cpu` were lost before the event at `untilNs`. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
  /**
   * Called if a line of `cpu` can't be parsed, or if its handler throws. Must drop operations that began before
   * `untilNs`. Default: `onLoss`.
   */
  onBroken?(cpu: number, untilNs: TimestampNs): void;
  /** Called if a line can't be decoded or a handler throws. `cpu` is -1 if the line does not contain a CPU. */
  onError(cpu: number, error: PageError, cause?: unknown): void;
}
