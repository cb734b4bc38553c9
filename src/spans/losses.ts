/** Remembers when events were lost. A loss can hide that a slow call is really two calls with the same name. */
import type { TimestampNs } from '../model/time.ts';
import type { Absence } from './absence-ring.ts';

const DEPTH = 1024;
const EVERY_CPU = -1;

export interface Loss {
  cpu: number;
  fromNs: TimestampNs;
  untilNs: TimestampNs;
}

export class LossJournal {
  readonly #losses: Loss[] = [];

  add(cpu: number, fromNs: TimestampNs, untilNs: TimestampNs): void {
    this.#losses.push({ cpu, fromNs, untilNs });
    if (this.#losses.length < 2 * DEPTH) return;
    // To limit memory, combine the older half into one loss of all CPUs.
    const last = endOfLoss(this.#losses.splice(0, DEPTH), Number.POSITIVE_INFINITY);
    this.#losses.unshift({ cpu: EVERY_CPU, fromNs: 0, untilNs: last });
  }

  /** Returns the losses that overlap this period. */
  within(fromNs: TimestampNs, toNs: TimestampNs): Loss[] {
    return this.#losses.filter((loss) => loss.untilNs > fromNs && loss.fromNs < toNs);
  }
}

/** Returns the latest end of the losses that ended at or before `atNs`; 0 if no loss did. */
export function endOfLoss(losses: readonly Loss[], atNs: TimestampNs): TimestampNs {
  return losses.reduce((last, { untilNs }) => (untilNs <= atNs ? Math.max(last, untilNs) : last), 0);
}

/** Whether events prove that `call` is one call, despite `losses`. `absences` must be in time order. */
export function isOneCall(
  call: { cpu: number; startNs: TimestampNs; endNs: TimestampNs },
  absences: readonly Absence[],
  losses: readonly Loss[],
): boolean {
  const wasLost = (cpu: number, fromNs: TimestampNs, toNs: TimestampNs): boolean =>
    losses.some((loss) => {
      const isThere = loss.cpu === cpu || cpu === EVERY_CPU || loss.cpu === EVERY_CPU;
      return isThere && loss.untilNs > fromNs && loss.fromNs < toNs;
    });
  // No event shows on which CPU a call began. If the task was switched out, a loss on any CPU counts.
  let onCpu = absences.length === 0 ? call.cpu : EVERY_CPU;
  let freeNs = call.startNs;
  for (const { outNs, inNs, cpu } of absences) {
    if (outNs === 0 || wasLost(onCpu, freeNs, outNs)) return false;
    freeNs = inNs;
    onCpu = cpu;
  }
  return !wasLost(onCpu, freeNs, call.endNs);
}
