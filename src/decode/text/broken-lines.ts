/** Lines that cannot be read: counts them, keeps the first for people, and voids what was open at them. */
import type { TimestampNs } from '../../model/time.ts';
import type { TextTarget } from './types.ts';

/** Less than two stamps of text differ by: this much behind one is behind all that began at it. */
const BEHIND_NS = 0.5;
const SHOWN_BYTES = 120;

/** A line that could not be read. */
export interface BrokenLine {
  /** Bytes of text before it. */
  offset: number;
  text: string;
  why: string;
}

/** Where a line lies. */
interface Place {
  bytes: Uint8Array;
  from: number;
  end: number;
  /** Bytes of text before it. */
  offset: number;
}

export interface BrokenLines {
  readonly count: number;
  readonly first: BrokenLine | undefined;
  /** `cpu`: -1 where the line does not say. `latest`: the youngest stamp before it. */
  add(cpu: number, latest: TimestampNs, why: string, place: Place): void;
  /** The line may have been either end of what is open on its CPU or, where that is not known, on any: that is void. */
  voidUntil(cpu: number, latest: TimestampNs): void;
}

export function makeBrokenLines(target: TextTarget, cpuCount: number): BrokenLines {
  let count = 0;
  let first: BrokenLine | undefined;
  /** As far as all CPUs are void: of many broken lines in a row only the first has to say so. */
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
