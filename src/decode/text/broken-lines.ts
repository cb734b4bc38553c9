/**
 * Counts unreadable lines and keeps the first one for a message. An unreadable line may have started or ended an
 * operation, so probes must drop the operations in progress.
 */
import type { TimestampNs } from '../../model/time.ts';
import type { TextTarget } from './types.ts';

/** Added to the latest timestamp, so that probes also drop operations that began at this time. */
const BEHIND_NS = 0.5;
const SHOWN_BYTES = 120;

export interface BrokenLine {
  /** Number of bytes of text before the line. */
  offset: number;
  text: string;
  why: string;
}

interface Place {
  bytes: Uint8Array;
  from: number;
  end: number;
  offset: number;
}

export interface BrokenLines {
  readonly count: number;
  readonly first: BrokenLine | undefined;
  /** `cpu` is -1 if the line does not contain a CPU. `latest` is the latest timestamp before the line. */
  add(cpu: number, latest: TimestampNs, why: string, place: Place): void;
  /** Makes probes drop the operations in progress on a CPU (-1: on all CPUs). */
  voidUntil(cpu: number, latest: TimestampNs): void;
}

export function makeBrokenLines(target: TextTarget, cpuCount: number): BrokenLines {
  let count = 0;
  let first: BrokenLine | undefined;
  /** Time of the last call of `onBroken` for all CPUs. */
  let allVoidUntil = 0;

  const voidUntil = (cpu: number, latest: TimestampNs): void => {
    const onBroken = target.onBroken ?? target.onLoss;
    const until = latest + BEHIND_NS;
    if (cpu >= 0) onBroken(cpu, until);
    if (cpu >= 0 || until === allVoidUntil) return;
    allVoidUntil = until;
    for (let each = 0; each < cpuCount; each++) onBroken(each, until);
  };

  return {
    get count() {
      return count;
    },
    get first() {
      return first;
    },
    add: (cpu, latest, why, { bytes, from, end, offset }) => {
      if (count++ === 0) {
        const text = Buffer.from(bytes.subarray(from, Math.min(end, from + SHOWN_BYTES)));
        first = { offset, text: text.toString('latin1').trim(), why };
      }
      target.onError(cpu, 'text_line');
      voidUntil(cpu, latest);
    },
    voidUntil,
  };
}
