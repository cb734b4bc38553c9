/**
 * Who had each CPU lately: the last tasks that left it, in a ring a CPU. It answers who ran while another waited, and
 * what a task calls itself. Memory of a CPU is taken when something first runs there: 6 KiB.
 */
import type { TimestampNs } from '../model/time.ts';
import { textUpToNul } from './text.ts';

/** Tasks that are remembered a CPU; a power of two. */
const DEPTH = 128;
export const COMM_WORDS = 4;
const COMM_BYTES = COMM_WORDS * 4;

interface Ring {
  pids: Int32Array;
  starts: Float64Array;
  ends: Float64Array;
  comms: Int32Array;
  count: number;
}

/** Who ran most of a time. */
export interface Culprit {
  pid: number;
  /** Within the time asked about. */
  ranNs: number;
  comm: string;
}

export class CpuHistory {
  readonly #rings: (Ring | undefined)[];

  constructor(cpuCount: number) {
    this.#rings = new Array(cpuCount).fill(undefined);
  }

  ran(
    cpu: number,
    pid: number,
    startNs: TimestampNs,
    endNs: TimestampNs,
    words: Int32Array,
    commAt: number,
  ): void {
    let ring = this.#rings[cpu];
    if (ring === undefined) {
      ring = newRing();
      this.#rings[cpu] = ring;
    }
    const at = ring.count & (DEPTH - 1);
    ring.count++;
    ring.pids[at] = pid;
    ring.starts[at] = startNs;
    ring.ends[at] = endNs;
    const comm = at * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) ring.comms[comm + i] = words[commAt + i];
  }

  /** Who had a CPU for most of a time, with all its turns taken together; undefined when nobody is remembered. */
  culprit(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): Culprit | undefined {
    const ring = this.#rings[cpu];
    if (ring === undefined) return undefined;
    const ranNs = new Map<number, number>();
    let most = -1;
    for (let i = 1; i <= Math.min(DEPTH, ring.count); i++) {
      const at = (ring.count - i) & (DEPTH - 1);
      if (ring.ends[at] <= fromNs) break;
      const ns = Math.min(toNs, ring.ends[at]) - Math.max(fromNs, ring.starts[at]);
      if (ns <= 0) continue;
      const pid = ring.pids[at];
      const sum = (ranNs.get(pid) ?? 0) + ns;
      ranNs.set(pid, sum);
      if (most < 0 || sum > (ranNs.get(ring.pids[most]) ?? 0)) most = at;
    }
    if (most < 0) return undefined;
    const pid = ring.pids[most];
    return { pid, ranNs: ranNs.get(pid) ?? 0, comm: commText(ring.comms, most * COMM_WORDS) };
  }

  /** What a task called itself when it last left this CPU; '' when that is not remembered. */
  commOf(cpu: number, pid: number): string {
    const ring = this.#rings[cpu];
    for (let i = 1; ring !== undefined && i <= Math.min(DEPTH, ring.count); i++) {
      const at = (ring.count - i) & (DEPTH - 1);
      if (ring.pids[at] === pid) return commText(ring.comms, at * COMM_WORDS);
    }
    return '';
  }
}

function newRing(): Ring {
  return {
    pids: new Int32Array(DEPTH),
    starts: new Float64Array(DEPTH),
    ends: new Float64Array(DEPTH),
    comms: new Int32Array(DEPTH * COMM_WORDS),
    count: 0,
  };
}

/** Text of a comm. */
export function commText(words: Int32Array, at: number): string {
  return textUpToNul(Buffer.from(words.buffer, words.byteOffset + at * 4, COMM_BYTES));
}
