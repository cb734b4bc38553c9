/**
 * Remembers which tasks ran on each CPU lately, in a ring per CPU. It answers which task ran while another waited, and
 * what the name of a task is. A CPU takes memory (6 KiB) when a task first runs there.
 */
import type { TimestampNs } from '../model/time.ts';
import { textUpToNul } from './text.ts';

/** Turns that are remembered per CPU; a power of two. */
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

/** Task that ran for most of a time. */
export interface Culprit {
  pid: number;
  /** Within that time. */
  ranNs: number;
  comm: string;
}

export class CpuHistory {
  readonly result = { pid: 0, ranNs: 0, comm: new Int32Array(COMM_WORDS) };
  readonly #rings: (Ring | undefined)[];
  // Scratch of `find`: tasks, and how long each ran.
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
   * Finds the task that ran longest on a CPU within a time, all its turns added up. Sets `result`, which the next call
   * overwrites. False if no turn is remembered.
   */
  find(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): boolean {
    const ring = this.#rings[cpu];
    if (ring === undefined) return false;
    const { result } = this;
    const [pids, sums] = [this.#pids, this.#sums];
    let tasks = 0;
    let most = -1;
    result.ranNs = 0;
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
      if (sums[task] <= result.ranNs) continue;
      result.ranNs = sums[task];
      most = at;
    }
    if (most < 0) return false;
    result.pid = ring.pids[most];
    const comm = most * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) result.comm[i] = ring.comms[comm + i];
    return true;
  }

  /** Result of `find` as a new object; undefined if no turn is remembered. */
  culprit(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): Culprit | undefined {
    if (!this.find(cpu, fromNs, toNs)) return undefined;
    const { pid, ranNs, comm } = this.result;
    return { pid, ranNs, comm: commText(comm, 0) };
  }

  /** Name of a task in its last turn on this CPU; '' if that is not remembered. */
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

/** Text of a task's name. */
export function commText(words: Int32Array, at: number): string {
  return textUpToNul(Buffer.from(words.buffer, words.byteOffset + at * 4, COMM_BYTES));
}
