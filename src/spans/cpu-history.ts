/**
 * Who had each CPU lately: the last turns, in a ring a CPU. It answers who ran while another waited, and
 * what a task calls itself. Memory of a CPU is taken when something first runs there: 6 KiB.
 */
import type { TimestampNs } from '../model/time.ts';
import { textUpToNul } from './text.ts';

/** Turns that are remembered a CPU; a power of two. */
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
  readonly found = { pid: 0, ranNs: 0, comm: new Int32Array(COMM_WORDS) };
  readonly #rings: (Ring | undefined)[];
  // Of `find`: tasks, and how long each ran.
  readonly #pids = new Int32Array(DEPTH);
  readonly #sums = new Float64Array(DEPTH);

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

  /**
   * Who had a CPU for most of a time, with all its turns taken together: into `found`, until the next time. False when
   * nobody is remembered.
   */
  find(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): boolean {
    const ring = this.#rings[cpu];
    if (ring === undefined) return false;
    const { found } = this;
    const [pids, sums] = [this.#pids, this.#sums];
    let tasks = 0;
    let most = -1;
    found.ranNs = 0;
    for (let i = 1; i <= Math.min(DEPTH, ring.count); i++) {
      const at = (ring.count - i) & (DEPTH - 1);
      if (ring.ends[at] <= fromNs) break;
      const ns = Math.min(toNs, ring.ends[at]) - Math.max(fromNs, ring.starts[at]);
      if (ns <= 0) continue;
      let task = 0;
      while (task < tasks && pids[task] !== ring.pids[at]) task++;
      if (task === tasks) {
        pids[task] = ring.pids[at];
        sums[task] = 0;
        tasks++;
      }
      sums[task] += ns;
      if (sums[task] <= found.ranNs) continue;
      found.ranNs = sums[task];
      most = at;
    }
    if (most < 0) return false;
    found.pid = ring.pids[most];
    const comm = most * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) found.comm[i] = ring.comms[comm + i];
    return true;
  }

  /** The same; undefined when nobody is remembered. */
  culprit(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): Culprit | undefined {
    if (!this.find(cpu, fromNs, toNs)) return undefined;
    const { pid, ranNs, comm } = this.found;
    return { pid, ranNs, comm: commText(comm, 0) };
  }

  /** What a task called itself in its last turn on this CPU; '' when that is not remembered. */
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
