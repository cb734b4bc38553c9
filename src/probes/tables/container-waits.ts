/**
 * Measures which container used a CPU while a task of another container waited for the CPU. Keeps, for each CPU, the
 * running container and the number of waiting tasks per container. Each switch adds the time since the previous switch
 * to the pairs of running and waiting container; `queued` and `leave` correct this for waits that begin or end between
 * two switches. The sum over a container's pairs therefore equals the container's waits.
 */
import { IDLE, SLOTS, UNKNOWN } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';
import { cell } from './cell.ts';

/** Tag of a waiting task that is in no queue: it is being woken, runs next on an idle CPU, or its CPU is unknown. */
export const NOT_QUEUED = -1;
// Local copies, because an imported constant would be read from memory at each use.
const SLOT_BITS = 8;
const SLOT_MASK = SLOTS - 1;
const NOBODY = IDLE;

/**
 * Each CPU has four numbers in `states`: the running task, the slot of its container, the task that should run next
 * because it was woken while the CPU was idle, and the number of slots with waiting tasks.
 */
const STATE_BITS = 2;
const TASK = 0;
const RUNNING = 1;
const EXPECTED = 2;
const LENGTH = 3;
/**
 * Number of pairs in a row. Larger than `SLOTS`, so that rows are not a multiple of 4096 bytes apart. A CPU delays a
 * load after a store if the last 12 bits of their addresses are equal.
 */
const ROW = SLOTS + 8;
export const PAIRS = SLOTS * ROW;

/** Index of a pair of containers. */
export function pairOf(slot: number, bySlot: number): number {
  return bySlot * ROW + slot;
}

/** Slot of the waiting container of a pair. */
export const slotOf = (pair: number): number => pair % ROW;

/** Slot of the running container of a pair. */
export const bySlotOf = (pair: number): number => Math.floor(pair / ROW);

export interface ContainerWaits {
  /** Nanoseconds by `pairOf` of the waiting and the running container. */
  readonly pairs: Float64Array;
  /** Time of the current event, set by the caller. Not an argument, because V8 would allocate the double. */
  readonly now: Float64Array;
  /**
   * A task was woken and joined the queue of a CPU. Returns its tag: the CPU and the slot. On an idle CPU, the task
   * counts as running immediately, because some virtual machines record no switch out of the idle task. The tag is then
   * `NOT_QUEUED`, and the wait is added when a switch to the task is recorded.
   */
  woken(pid: number, slot: number, cpu: number): number;
  /** A task begins to wait in the queue of a CPU. Returns its tag. */
  queued(slot: number, cpu: number): number;
  /** A task no longer waits in this queue. */
  leave(tag: number): void;
  /** A waiting task moves to the queue of another CPU. `sinceNs`: when it began to wait. Returns its new tag. */
  moved(pid: number, slot: number, tag: number, cpu: number, sinceNs: TimestampNs): number;
  /**
   * Task `prev` is about to leave a CPU. If the last recorded switch was to another task, a switch is missing. Which of
   * the two tasks ran is then unknown, so the time since the last switch counts for the container `UNKNOWN`.
   */
  leaves(cpu: number, prev: number): void;
  /**
   * A CPU switches to task `next`; 0 is the idle task. `entering`: the slot of the previous task if it begins to wait.
   * `tag`: the tag of `next` if it waited in the queue of this CPU. Both can be `NOT_QUEUED`. Returns the task that was
   * expected to run next; 0 if none.
   */
  switched(cpu: number, next: number, slot: number, entering: number, tag: number): number;
  /** Counts a wait since `sinceNs` as caused by no task, because the events show that the CPU was idle. */
  waitedForNothing(slot: number, sinceNs: TimestampNs): void;
  /** Adds the time up to now to the pairs. */
  settle(): void;
  /** Events were lost: forget which tasks wait or run. */
  lost(): void;
}

/** The methods are closures over constant arrays, because V8 compiles the addresses of such arrays into the code. */
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
    // Events of different CPUs can be slightly out of order.
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

  /** If a task was expected on an idle CPU, counts its wait so far, no longer expects it and returns true. */
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

/** Whether `prev` leaves a CPU that last switched to another task. False if the idle task makes way for `EXPECTED`. */
function missesSwitch(states: Int32Array, state: number, prev: number): boolean {
  const task = states[state + TASK];
  return task > 0 && task !== prev && (prev !== 0 || task !== states[state + EXPECTED]);
}

interface Queues {
  states: Int32Array;
  /** Per CPU, the slots with waiting tasks, and the number of these tasks. */
  slots: Uint8Array;
  counts: Float64Array;
  /** Per CPU and slot: the index of the slot among those with waiting tasks. */
  places: Uint8Array;
  /** By CPU: time up to which `pairs` includes the waits. Valid only while tasks wait for the CPU. */
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
  // If the slot has no waiting tasks, `places` is outdated, so check `slots`.
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
