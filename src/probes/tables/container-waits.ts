/**
 * Measures which container used a CPU while a task of another container waited for the CPU. A container has a
 * small number, its slot (src/model/containers.ts). For each CPU, this table stores the slot of the running
 * task and the number of waiting tasks per slot. Each switch adds the time since the previous switch to the
 * pairs of waiting and running slot; `queued` and `leave` correct the pairs for waits that begin or end
 * between two switches. The sum over a container's pairs therefore equals the time that its tasks waited.
 *
 * The queue of a CPU is the set of tasks that wait for this CPU. A tag encodes where a task waits: the CPU
 * and the task's slot.
 */
import { IDLE, SLOTS, UNKNOWN } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';
import { cell } from './cell.ts';

/**
 * Tag of a waiting task that is in no queue: a waker is still waking it, it will run next on an idle CPU, or
 * its CPU is unknown.
 */
export const NOT_QUEUED = -1;
// These constants are local copies, because V8 would read an imported constant from memory at each use.
const SLOT_BITS = 8;
const SLOT_MASK = SLOTS - 1;
const NOBODY = IDLE;

/**
 * Each CPU has four numbers in `states`: the pid of the running task (-1: unknown), the slot of its
 * container, the pid of the expected task (0: none), and the number of slots with waiting tasks. The expected
 * task was woken while the CPU was idle and should run next.
 */
const STATE_BITS = 2;
const TASK = 0;
const RUNNING = 1;
const EXPECTED = 2;
const LENGTH = 3;
/**
 * Number of elements in a row of `pairs`: the pairs with the same running slot, and padding. A CPU delays a
 * load after a store if the last 12 bits of their addresses are equal. With the padding, the distance between
 * nearby rows is not a multiple of 4096 bytes.
 */
const ROW = SLOTS + 8;
export const PAIRS = SLOTS * ROW;

/** Returns the index in `pairs` of the waiting container `slot` and the running container `bySlot`. */
export function pairOf(slot: number, bySlot: number): number {
  return bySlot * ROW + slot;
}

/** Returns the slot of the waiting container of a pair. */
export const slotOf = (pair: number): number => pair % ROW;

/** Returns the slot of the running container of a pair. */
export const bySlotOf = (pair: number): number => Math.floor(pair / ROW);

export interface ContainerWaits {
  /** Nanoseconds that tasks waited, indexed by `pairOf`. */
  readonly pairs: Float64Array;
  /**
   * Element 0: time of the current event. The caller sets it before each call. If the time were an argument,
   * V8 would allocate the double.
   */
  readonly now: Float64Array;
  /**
   * A task was woken and joined the queue of a CPU. Returns its tag. If the CPU is idle, the task immediately
   * counts as running, because some virtual machines record no switch from the idle task to the next task.
   * `woken` then returns `NOT_QUEUED`, and the caller counts the wait with `waitedForNothing` when a switch
   * to the task is recorded.
   */
  woken(pid: number, slot: number, cpu: number): number;
  /** A task begins to wait in the queue of a CPU. Returns its tag. */
  queued(slot: number, cpu: number): number;
  /** A task no longer waits in the queue of its tag. */
  leave(tag: number): void;
  /** A waiting task moves to the queue of another CPU. `sinceNs`: start of its wait. Returns its new tag. */
  moved(pid: number, slot: number, tag: number, cpu: number, sinceNs: TimestampNs): number;
  /**
   * A CPU is about to switch from task `prev` to another task. If the last recorded switch on this CPU was to
   * a task other than `prev`, a record is missing. It is then unknown which of the two tasks ran, so the time
   * since the last switch counts for the container `UNKNOWN`.
   */
  leaves(cpu: number, prev: number): void;
  /**
   * A CPU switches to task `next` (0: the idle task), whose container is `slot`. `entering`: the slot of the
   * previous task if this task begins to wait, else `NOT_QUEUED`. `tag`: the tag of `next` if it waited in
   * the queue of this CPU, else `NOT_QUEUED`. Returns the pid of the task that was expected to run next; 0 if
   * none was expected.
   */
  switched(cpu: number, next: number, slot: number, entering: number, tag: number): number;
  /** Counts the time since `sinceNs` as a wait for the idle task. The events show that the CPU was idle. */
  waitedForNothing(slot: number, sinceNs: TimestampNs): void;
  /** Adds the waits up to `now` to the pairs of all CPUs. */
  settle(): void;
  /** Called after a loss of events. Forgets which tasks wait and which tasks run. */
  lost(): void;
}

/** The methods are closures over constant arrays, whose addresses V8 compiles into the code. */
export function makeContainerWaits(cpuCount: number): ContainerWaits {
  const pairs = new Float64Array(PAIRS);
  const now = cell();
  const queues = makeQueues(cpuCount);
  const { states, slots, counts, until } = queues;

  const queued = (slot: number, cpu: number): number => {
    const state = cpu << STATE_BITS;
    if (states[state + LENGTH] === 0) until[cpu] = now[0];
    else pairs[(states[state + RUNNING] & SLOT_MASK) * ROW + slot] -= now[0] - until[cpu];
    addWaiter(queues, cpu, slot);
    return (cpu << SLOT_BITS) | slot;
  };

  const leave = (tag: number): void => {
    if (tag < 0) return;
    const cpu = tag >>> SLOT_BITS;
    const running = states[(cpu << STATE_BITS) + RUNNING];
    pairs[(running & SLOT_MASK) * ROW + (tag & SLOT_MASK)] += now[0] - until[cpu];
    removeWaiter(queues, cpu, tag & SLOT_MASK);
  };

  const waitedForNothing = (slot: number, sinceNs: TimestampNs): void => {
    const ns = now[0] - sinceNs;
    if (ns > 0) pairs[NOBODY * ROW + slot] += ns;
  };

  const settleCpu = (cpu: number): void => {
    const state = cpu << STATE_BITS;
    const length = states[state + LENGTH];
    if (length === 0) return;
    const ns = now[0] - until[cpu];
    // Events of different CPUs can be slightly out of order, so the time can be negative.
    if (ns <= 0) return;
    until[cpu] = now[0];
    const row = (states[state + RUNNING] & SLOT_MASK) * ROW;
    const first = cpu << SLOT_BITS;
    for (let at = first; at < first + length; at++) pairs[row + slots[at]] += ns * counts[at];
  };

  const leaves = (cpu: number, prev: number): void => {
    if (missesSwitch(states, cpu << STATE_BITS, prev)) states[(cpu << STATE_BITS) + RUNNING] = UNKNOWN;
  };

  const switched = (cpu: number, next: number, slot: number, entering: number, tag: number): number => {
    settleCpu(cpu);
    const state = cpu << STATE_BITS;
    if (tag >= 0) removeWaiter(queues, cpu, tag & SLOT_MASK);
    if (entering >= 0) {
      if (states[state + LENGTH] === 0) until[cpu] = now[0];
      addWaiter(queues, cpu, entering);
    }
    states[state + TASK] = next;
    states[state + RUNNING] = slot;
    const expected = states[state + EXPECTED];
    if (expected !== 0) states[state + EXPECTED] = 0;
    return expected;
  };

  /** If a CPU expects this task, counts the wait since `sinceNs`, ends the expectation and returns true. */
  const unexpect = (pid: number, slot: number, sinceNs: TimestampNs): boolean => {
    for (let cpu = 0; cpu < cpuCount; cpu++) {
      if (states[(cpu << STATE_BITS) + EXPECTED] !== pid) continue;
      switched(cpu, 0, NOBODY, NOT_QUEUED, NOT_QUEUED);
      waitedForNothing(slot, sinceNs);
      return true;
    }
    return false;
  };

  const settle = (): void => {
    for (let cpu = 0; cpu < cpuCount; cpu++) settleCpu(cpu);
  };

  return {
    ...{ pairs, now, queued, leave, leaves, switched, waitedForNothing, settle },
    woken: (pid, slot, cpu) => {
      if (!(cpu >= 0 && cpu < cpuCount)) return NOT_QUEUED;
      const state = cpu << STATE_BITS;
      const task = states[state + TASK];
      if (task === pid) return NOT_QUEUED;
      if (task !== 0 || states[state + LENGTH] !== 0) return queued(slot, cpu);
      states[state + TASK] = pid;
      states[state + RUNNING] = slot;
      states[state + EXPECTED] = pid;
      return NOT_QUEUED;
    },
    moved: (pid, slot, tag, cpu, sinceNs) => {
      if (tag >= 0) leave(tag);
      else if (!unexpect(pid, slot, sinceNs)) return NOT_QUEUED;
      return cpu >= 0 && cpu < cpuCount ? queued(slot, cpu) : NOT_QUEUED;
    },
    lost: () => {
      settle();
      forgetAll(queues);
    },
  };
}

/**
 * Whether a CPU switches away from `prev` although its last recorded switch was to another task. False if
 * `prev` is the idle task and the CPU expects the other task.
 */
function missesSwitch(states: Int32Array, state: number, prev: number): boolean {
  const task = states[state + TASK];
  return task > 0 && task !== prev && (prev !== 0 || task !== states[state + EXPECTED]);
}

interface Queues {
  states: Int32Array;
  /** By CPU: `slots` lists the slots with waiting tasks, `counts` the number of waiting tasks of each. */
  slots: Uint8Array;
  counts: Float64Array;
  /** By CPU and slot: index of the slot in the CPU's `slots`. Outdated if no task of the slot waits. */
  places: Uint8Array;
  /** By CPU: `pairs` includes the waits for this CPU up to this time. Valid only while tasks wait. */
  until: Float64Array;
}

function makeQueues(cpuCount: number): Queues {
  const room = cpuCount << SLOT_BITS;
  const queues: Queues = {
    states: new Int32Array(Math.max(cpuCount << STATE_BITS, SLOTS)),
    slots: new Uint8Array(room),
    counts: new Float64Array(room),
    places: new Uint8Array(room),
    until: new Float64Array(Math.max(cpuCount, SLOTS)),
  };
  forgetAll(queues);
  return queues;
}

function forgetAll({ states, counts }: Queues): void {
  states.fill(0);
  counts.fill(0);
  for (let state = 0; state < states.length; state += 1 << STATE_BITS) {
    states[state + TASK] = -1;
    states[state + RUNNING] = UNKNOWN;
  }
}

function addWaiter({ states, slots, counts, places }: Queues, cpu: number, slot: number): void {
  const first = cpu << SLOT_BITS;
  const place = first + places[first + slot];
  const length = states[(cpu << STATE_BITS) + LENGTH];
  // `places` is outdated if no task of the slot waits, so check that `slots` contains the slot.
  if (place < first + length && slots[place] === slot) {
    counts[place] += 1;
    return;
  }
  states[(cpu << STATE_BITS) + LENGTH] = length + 1;
  places[first + slot] = length;
  slots[first + length] = slot;
  counts[first + length] = 1;
}

function removeWaiter({ states, slots, counts, places }: Queues, cpu: number, slot: number): void {
  const first = cpu << SLOT_BITS;
  const place = first + places[first + slot];
  const count = counts[place] - 1;
  counts[place] = count;
  if (count !== 0) return;
  const last = states[(cpu << STATE_BITS) + LENGTH] - 1;
  states[(cpu << STATE_BITS) + LENGTH] = last;
  slots[place] = slots[first + last];
  counts[place] = counts[first + last];
  places[first + slots[place]] = place - first;
}
