/**
 * Builds trees of kernel function calls from their returns. A tree is complete when its outermost call returns. To
 * limit memory to 2.5 MiB, calls shorter than a task's floor (a minimum duration) are only counted.
 *
 * A depth also counts callers that the kernel traces only for other users of the tracer, so an outermost call can have
 * a depth above 0. A call is outermost if the task's next call at a smaller depth does not contain the call.
 */
import type { FunctionReturn } from '../model/intervals.ts';

export const NONE = -1;
/** Maximum number of stored calls, and of tasks. `TASKS` must be a power of two, because `TASKS - 1` is a bit mask. */
const CALLS = 1 << 14;
const TASKS = 1 << 10;
/** Number of depths. The kernel's maximum is about 50. Greater depths count as the last depth. */
const DEPTHS = 64;
/** Number of consecutive slots of the hash table that can contain the same task. */
const WAYS = 8;
/** How long to wait for the return of a call's caller. The return may be lost, or the caller may not be traced. */
const HOLD_NS = 60e9;

/** Receives a tree, valid only during the callback. `root` is the outermost call; `call`, the task's latest return. */
export type TreeSink = (root: number, call: FunctionReturn, isWhole: boolean) => void;

/** Calls inside an outermost call. */
interface Inner {
  children: number;
  prunedCalls: number;
  prunedNs: number;
  isWhole: boolean;
}

const NO_INNER: Inner = { children: NONE, prunedCalls: 0, prunedNs: 0, isWhole: true };

export class CallForest {
  // Columns of the table of calls.
  readonly lows = new Int32Array(CALLS);
  readonly highs = new Int32Array(CALLS);
  readonly cpus = new Int32Array(CALLS);
  readonly starts = new Float64Array(CALLS);
  readonly durations = new Float64Array(CALLS);
  /** Trace clock minus tracer's clock in nanoseconds, at the return. Stored per call, because the clocks drift. */
  readonly offsets = new Float64Array(CALLS);
  readonly inInterrupt = new Uint8Array(CALLS);
  /** Unstored calls below this call: number at all levels, and total time of those that this call made directly. */
  readonly prunedCalls = new Int32Array(CALLS);
  readonly prunedNs = new Float64Array(CALLS);
  /** First stored call that this call made, and next call in the same list. `NONE` ends a list. */
  readonly first = new Int32Array(CALLS);
  readonly next = new Int32Array(CALLS);
  readonly #depths = new Int32Array(CALLS);
  #free = 0;

  // Columns of the hash table of tasks. The key 0 marks a free slot.
  readonly #keys = new Int32Array(TASKS);
  /** By task: newest call whose caller has not returned yet. `next` leads to the older ones. */
  readonly #waiting = new Int32Array(TASKS);
  readonly #counts = new Int32Array(TASKS);
  readonly #floors = new Float64Array(TASKS);
  readonly #usedAt = new Float64Array(TASKS);
  /** Calls of the task that began before this time may lack inner calls. */
  readonly #cutAt = new Float64Array(TASKS);
  // Columns by task and depth, for calls that are not stored and whose caller has not returned yet.
  readonly #shortCalls = new Int32Array(TASKS * DEPTHS);
  readonly #shortNs = new Float64Array(TASKS * DEPTHS);
  readonly #shortEnds = new Float64Array(TASKS * DEPTHS);
  /** Greatest depth at which the three columns above have counts, by task. */
  readonly #deepest = new Int32Array(TASKS);

  readonly #thresholdNs: number;
  readonly #floorNs: number;
  readonly #mostOfTask: number;
  readonly #tell: TreeSink;
  readonly #sorted: Float64Array;
  /** Trees that began before this time on the trace clock may lack calls. */
  #lostNs = 0;

  /** `keep`: maximum number of spans in a tree. The forest stores up to four times as many calls per task. */
  constructor(thresholdNs: number, floorNs: number, keep: number, tell: TreeSink) {
    this.#thresholdNs = thresholdNs;
    this.#floorNs = floorNs;
    this.#mostOfTask = 4 * keep;
    this.#sorted = new Float64Array(this.#mostOfTask + 1);
    this.#tell = tell;
    for (let i = 0; i < CALLS; i++) this.next[i] = i + 1 < CALLS ? i + 1 : NONE;
  }

  lost(untilNs: number): void {
    this.#lostNs = Math.max(this.#lostNs, untilNs);
  }

  add(call: FunctionReturn): void {
    const depth = Math.min(Math.max(call.depth, 0), DEPTHS - 1);
    // The idle tasks of all CPUs have pid 0, so the CPU distinguishes them.
    const key = call.pid === 0 ? -1 - call.cpu : call.pid;
    let task = this.#find(key);
    if (task === NONE) {
      if (depth === 0) {
        if (call.durationNs >= this.#thresholdNs) this.#end(call, NONE, NO_INNER);
        return;
      }
      task = this.#place(key, call);
    }
    if (this.#usedAt[task] < call.endNs - HOLD_NS) this.#giveUp(task, call, 0, call.endNs - HOLD_NS);
    this.#usedAt[task] = call.endNs;

    let prunedCalls = 0;
    let prunedNs = 0;
    const base = task * DEPTHS;
    for (; this.#deepest[task] > depth; this.#deepest[task]--) {
      const at = base + this.#deepest[task];
      if (this.#shortEnds[at] >= call.startNs) {
        prunedCalls += this.#shortCalls[at];
        prunedNs += this.#shortNs[at];
      }
      this.#shortCalls[at] = 0;
      this.#shortNs[at] = 0;
      this.#shortEnds[at] = 0;
    }
    let children = NONE;
    for (
      let top = this.#waiting[task];
      top !== NONE && this.#depths[top] > depth;
      top = this.#waiting[task]
    ) {
      if (this.starts[top] + this.durations[top] < call.startNs) {
        this.#giveUp(task, call, depth, Number.POSITIVE_INFINITY);
        break;
      }
      this.#waiting[task] = this.next[top];
      this.next[top] = children;
      children = top;
    }

    if (depth === 0) {
      if (call.durationNs >= this.#thresholdNs) {
        const isWhole = this.#cutAt[task] <= call.startNs;
        this.#end(call, task, { children, prunedCalls, prunedNs, isWhole });
      } else this.#release(children);
      this.#counts[task] = 0;
      this.#keys[task] = 0;
      return;
    }
    if (call.durationNs < this.#floors[task]) {
      // If the clock jumped, a call shorter than the floor can contain longer calls.
      for (let at = children; at !== NONE; at = children) {
        children = this.next[at];
        prunedCalls += this.#drop(task, at);
      }
      this.#addShort(task, depth, 1 + prunedCalls, call.durationNs, call.endNs);
      return;
    }
    const node = this.#take(call, task);
    this.#depths[node] = depth;
    this.first[node] = children;
    this.prunedCalls[node] = prunedCalls;
    this.prunedNs[node] = prunedNs;
    this.next[node] = this.#waiting[task];
    this.#waiting[task] = node;
    if (++this.#counts[task] >= this.#mostOfTask) this.#raiseFloor(task);
  }

  /** Reports the tree of an outermost call that has returned. */
  #end(call: FunctionReturn, task: number, made: Inner): void {
    const root = this.#take(call, task);
    this.first[root] = made.children;
    this.next[root] = NONE;
    this.prunedCalls[root] = made.prunedCalls;
    this.prunedNs[root] = made.prunedNs;
    const beganAt = call.recordedNs - call.durationNs;
    this.#tell(root, call, made.isWhole && beganAt >= this.#lostNs);
    this.#release(root);
  }

  /** Drops the task's newest calls that are deeper than `depth` and ended before `endedBefore`. Reports slow ones. */
  #giveUp(task: number, call: FunctionReturn, depth: number, endedBefore: number): void {
    for (let top = this.#waiting[task]; top !== NONE; top = this.#waiting[task]) {
      const end = this.starts[top] + this.durations[top];
      if (this.#depths[top] <= depth || end >= endedBefore) break;
      this.#waiting[task] = this.next[top];
      this.next[top] = NONE;
      this.#cutAt[task] = Math.max(this.#cutAt[task], end);
      if (this.durations[top] >= this.#thresholdNs) this.#tell(top, call, false);
      this.#counts[task] -= this.#release(top);
    }
  }

  #find(key: number): number {
    const from = slotOf(key);
    for (let i = 0; i < WAYS; i++) {
      const at = (from + i) & (TASKS - 1);
      if (this.#keys[at] === key) return at;
    }
    return NONE;
  }

  /** Returns a free slot for a new task, or frees the least recently used slot. */
  #place(key: number, call: FunctionReturn): number {
    const from = slotOf(key);
    let task = from;
    for (let i = 0; i < WAYS; i++) {
      const at = (from + i) & (TASKS - 1);
      if (this.#keys[at] === 0) {
        task = at;
        break;
      }
      if (this.#usedAt[at] < this.#usedAt[task]) task = at;
    }
    if (this.#keys[task] !== 0) this.#forget(task, call);
    this.#keys[task] = key;
    this.#waiting[task] = NONE;
    this.#counts[task] = 0;
    this.#floors[task] = this.#floorNs;
    this.#usedAt[task] = call.endNs;
    this.#cutAt[task] = 0;
    return task;
  }

  #forget(task: number, call: FunctionReturn): void {
    this.#release(this.#waiting[task]);
    this.#waiting[task] = NONE;
    this.#counts[task] = 0;
    this.#shortCalls.fill(0, task * DEPTHS, (task + 1) * DEPTHS);
    this.#shortNs.fill(0, task * DEPTHS, (task + 1) * DEPTHS);
    this.#shortEnds.fill(0, task * DEPTHS, (task + 1) * DEPTHS);
    this.#deepest[task] = 0;
    this.#keys[task] = 0;
    this.lost(call.recordedNs);
  }

  /** Stores a call. If the table is full, first drops all calls of the task (not `task`) that has the most. */
  #take(call: FunctionReturn, task: number): number {
    while (this.#free === NONE) this.#forget(this.#fullest(task), call);
    const node = this.#free;
    this.#free = this.next[node];
    this.lows[node] = call.low;
    this.highs[node] = call.high;
    this.cpus[node] = call.cpu;
    this.starts[node] = call.startNs;
    this.durations[node] = call.durationNs;
    this.offsets[node] = call.recordedNs - call.endNs;
    this.inInterrupt[node] = call.inInterrupt ? 1 : 0;
    return node;
  }

  #fullest(but: number): number {
    let fullest = but === 0 ? 1 : 0;
    for (let task = 0; task < TASKS; task++)
      if (task !== but && this.#counts[task] > this.#counts[fullest]) fullest = task;
    return fullest;
  }

  #addShort(task: number, depth: number, calls: number, ns: number, endNs: number): void {
    const at = task * DEPTHS + depth;
    this.#shortCalls[at] += calls;
    this.#shortNs[at] += ns;
    this.#shortEnds[at] = Math.max(this.#shortEnds[at], endNs);
    if (depth > this.#deepest[task]) this.#deepest[task] = depth;
  }

  /** Frees a call, the calls after it in its list, and all calls inside these. Returns their number. */
  #release(node: number): number {
    let count = 0;
    for (let at = node; at !== NONE; ) {
      const after = this.next[at];
      count += 1 + this.#release(this.first[at]);
      this.next[at] = this.#free;
      this.#free = at;
      at = after;
    }
    return count;
  }

  /** Raises the task's floor to the median duration of the task's calls, and removes the shorter calls. */
  #raiseFloor(task: number): void {
    const all = this.#sorted.subarray(0, this.#copy(this.#waiting[task], 0)).sort();
    let floor = all[all.length >> 1];
    // If many calls have exactly this duration, drop them too. Otherwise, nothing would be freed.
    if (floor === all[0] || floor === this.#floors[task]) floor++;
    this.#floors[task] = floor;
    let first = NONE;
    let last = NONE;
    for (let at = this.#waiting[task]; at !== NONE; ) {
      const after = this.next[at];
      if (this.durations[at] < floor) {
        const ns = this.durations[at];
        const endNs = this.starts[at] + ns;
        this.#addShort(task, this.#depths[at], this.#drop(task, at), ns, endNs);
      } else {
        this.#thin(task, at, floor);
        if (first === NONE) first = at;
        else this.next[last] = at;
        last = at;
      }
      at = after;
    }
    if (last !== NONE) this.next[last] = NONE;
    this.#waiting[task] = first;
  }

  /** Removes calls shorter than `floor` from the tree below `node`. */
  #thin(task: number, node: number, floor: number): void {
    let last = NONE;
    for (let at = this.first[node]; at !== NONE; ) {
      const after = this.next[at];
      if (this.durations[at] < floor) {
        this.prunedNs[node] += this.durations[at];
        this.prunedCalls[node] += this.#drop(task, at);
        if (last === NONE) this.first[node] = after;
        else this.next[last] = after;
      } else {
        this.#thin(task, at, floor);
        last = at;
      }
      at = after;
    }
  }

  /** Frees a call and all calls below it. Returns their number, including calls that were not stored. */
  #drop(task: number, node: number): number {
    this.next[node] = NONE;
    const calls = this.#callsOf(node);
    this.#counts[task] -= this.#release(node);
    return calls;
  }

  #callsOf(node: number): number {
    let calls = 1 + this.prunedCalls[node];
    for (let at = this.first[node]; at !== NONE; at = this.next[at]) calls += this.#callsOf(at);
    return calls;
  }

  #copy(node: number, count: number): number {
    let copied = count;
    for (let at = node; at !== NONE && copied < this.#sorted.length; at = this.next[at]) {
      this.#sorted[copied++] = this.durations[at];
      copied = this.#copy(this.first[at], copied);
    }
    return copied;
  }
}

function slotOf(key: number): number {
  return (Math.imul(key, 0x9e3779b1) >>> 16) & (TASKS - 1);
}
