/**
 * Keeps a ring buffer per CPU of the turns of tasks. A turn lasts from a task's switch-in to its switch-out. With up to
 * 1024 CPUs, all rings together need at most 4.5 MiB.
 */
import type { TimestampNs } from '../model/time.ts';
import { COMM_WORDS, CommTexts } from './comm-texts.ts';

/** Turns in all rings (for up to 1024 CPUs), and maximum and minimum per ring. All must be powers of two. */
const MOST_TURNS = 1 << 17;
const DEEPEST = 1 << 12;
const SHALLOWEST = 1 << 7;
/** Maximum number of turns that `find` examines. Limits the cost, because `find` runs for every long wait. */
const LOOKED_AT = 128;

interface Ring {
  pids: Int32Array;
  starts: Float64Array;
  ends: Float64Array;
  comms: Int32Array;
  count: number;
}

/** A task that ran while another task waited, and how long it ran. */
export interface Culprit {
  pid: number;
  ranNs: number;
  comm: string;
}

/** One long turn of a task on a CPU, or consecutive short turns without a gap. Pid 0 is the idle task. */
export interface Row {
  isShort: boolean;
  startNs: TimestampNs;
  endNs: TimestampNs;
  turns: number;
  tasks: Map<number, Culprit>;
}

export class CpuHistory {
  readonly texts = new CommTexts();
  readonly #depth: number;
  readonly result = { pid: 0, ranNs: 0, comm: new Int32Array(COMM_WORDS) };
  readonly #rings: (Ring | undefined)[];
  // Scratch memory of `find`: the pids of tasks, and how long each task ran.
  readonly #pids = new Int32Array(LOOKED_AT);
  readonly #sums = new Float64Array(LOOKED_AT);

  constructor(cpuCount: number) {
    this.#rings = new Array(cpuCount).fill(undefined);
    const share = 2 ** Math.floor(Math.log2(MOST_TURNS / Math.max(1, cpuCount)));
    this.#depth = Math.max(SHALLOWEST, Math.min(DEEPEST, share));
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
      ring = newRing(this.#depth);
      this.#rings[cpu] = ring;
    }
    const at = ring.count & (this.#depth - 1);
    ring.count++;
    ring.pids[at] = pid;
    ring.starts[at] = startNs;
    ring.ends[at] = endNs;
    const comm = at * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) ring.comms[comm + i] = words[commAt + i];
  }

  /** Stores in `result` the task, except the idle task, that ran longest in a period. Returns false if none ran. */
  find(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): boolean {
    const ring = this.#rings[cpu];
    if (ring === undefined) return false;
    const { result } = this;
    const [pids, sums] = [this.#pids, this.#sums];
    let tasks = 0;
    let most = -1;
    result.ranNs = 0;
    for (let i = 1; i <= Math.min(LOOKED_AT, ring.count); i++) {
      const at = (ring.count - i) & (this.#depth - 1);
      if (ring.ends[at] <= fromNs) break;
      if (ring.pids[at] === 0) continue;
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

  /** Like `find`, but returns a new object, or undefined. */
  culprit(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): Culprit | undefined {
    if (!this.find(cpu, fromNs, toNs)) return undefined;
    const { pid, ranNs, comm } = this.result;
    return { pid, ranNs, comm: this.texts.of(comm, 0) };
  }

  /** Returns the turns in a period, oldest first. Consecutive turns shorter than `shortNs` share a row. */
  rows(cpu: number, fromNs: TimestampNs, toNs: TimestampNs, shortNs: number): Row[] {
    const ring = this.#rings[cpu];
    const rows: Row[] = [];
    if (ring === undefined) return rows;
    let [pid, comm, startNs, endNs] = [-1, 0, 0, 0];
    const endTurn = (): void => {
      if (pid < 0) return;
      const isShort = endNs - startNs < shortNs;
      let row = rows.at(-1);
      if (row === undefined || !isShort || !row.isShort || row.startNs !== endNs) {
        row = { isShort, startNs, endNs, turns: 0, tasks: new Map() };
        rows.push(row);
      }
      row.startNs = startNs;
      row.turns++;
      const task = row.tasks.get(pid);
      if (task !== undefined) task.ranNs += endNs - startNs;
      else row.tasks.set(pid, { pid, comm: this.texts.of(ring.comms, comm), ranNs: endNs - startNs });
    };
    for (let i = 1; i <= Math.min(this.#depth, ring.count); i++) {
      const at = (ring.count - i) & (this.#depth - 1);
      if (ring.ends[at] <= fromNs) break;
      const from = Math.max(fromNs, ring.starts[at]);
      const to = Math.min(toNs, ring.ends[at]);
      if (to <= from) continue;
      // Adjacent entries of the same task are one turn that the probe reported in parts.
      if (ring.pids[at] !== pid || startNs !== to) {
        endTurn();
        pid = ring.pids[at];
        comm = at * COMM_WORDS;
        endNs = to;
      }
      startNs = from;
    }
    endTurn();
    return rows.reverse();
  }

  /** Returns the name that a task had in its last turn on this CPU, or '' if the ring has no turn of the task. */
  commOf(cpu: number, pid: number): string {
    const ring = this.#rings[cpu];
    for (let i = 1; ring !== undefined && i <= Math.min(this.#depth, ring.count); i++) {
      const at = (ring.count - i) & (this.#depth - 1);
      if (ring.pids[at] === pid) return this.texts.of(ring.comms, at * COMM_WORDS);
    }
    return '';
  }
}

function newRing(depth: number): Ring {
  return {
    pids: new Int32Array(depth),
    starts: new Float64Array(depth),
    ends: new Float64Array(depth),
    comms: new Int32Array(depth * COMM_WORDS),
    count: 0,
  };
}
