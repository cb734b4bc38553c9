/**
 * Measures how long tasks of each container wait for a CPU, by the container that uses the CPU meanwhile. A container
 * is known by its slot (src/model/containers.ts). A pair is the slot of the waiting container and the slot of the
 * running container. The queue of a CPU is the set of tasks that wait for this CPU.
 */
import { IDLE, SLOTS, UNKNOWN } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';
import { cell } from './cell.ts';

/** Tag of a task in no queue. */
export const NOT_QUEUED = -1;
// V8 would read an imported constant from memory at each use.
const SLOT_BITS = 8;
const SLOT_MASK = SLOTS - 1;
const NOBODY = IDLE;

/**
 * Each CPU has four numbers in `states`: pid of the running task (-1: unknown), its slot, pid of the expected task (0:
 * none), and number of slots with waiting tasks. The expected task was woken while the CPU was idle, and counts as
 * running.
 */
const STATE_BITS = 2;
const TASK = 0;
const RUNNING = 1;
const EXPECTED = 2;
const LENGTH = 3;
/**
 * Elements per row of `pairs`. Hardware delays a load after a store if the last 12 bits of their addresses are equal.
 * The 8 unused elements prevent this for nearby rows.
 */
const ROW = SLOTS + 8;
export const PAIRS = SLOTS * ROW;

export function pairOf(slot: number, bySlot: number): number {
  return bySlot * ROW + slot;
}

export const slotOf = (pair: number): number => pair % ROW;

export const bySlotOf = (pair: number): number => Math.floor(pair / ROW);

export interface ContainerWaits {
  /** Nanoseconds waited, indexed by `pairOf`. */
  readonly pairs: Float64Array;
  /** Element 0: time of the current event, which the caller sets first. V8 would allocate a double for an argument. */
  readonly now: Float64Array;
  /**
   * Puts a woken task into the queue of a CPU and returns its tag, which encodes the CPU and the slot. If the CPU is
   * idle and has no queue, the task becomes the expected task instead, and the tag is `NOT_QUEUED`. The reason is that
   * some virtual machines record no switch from the idle task.
   */
  woken(pid: number, slot: number, cpu: number): number;
  /** Puts a task into the queue of a CPU and returns its tag. */
  queued(slot: number, cpu: number): number;
  /** Removes a task from its queue. `NOT_QUEUED` has no effect. */
  leave(tag: number): void;
  /**
   * Moves a task that has waited since `sinceNs` to the queue of another CPU. Returns the new tag; `NOT_QUEUED` if the
   * task was neither in a queue nor expected, or if the new CPU is unknown.
   */
  moved(pid: number, slot: number, tag: number, cpu: number, sinceNs: TimestampNs): number;
  /**
   * Call this before `switched`. If `prev` is not the known running task, the time since the last recorded switch
   * counts as used by `UNKNOWN`.
   */
  leaves(cpu: number, prev: number): void;
  /**
   * Switches a CPU to task `next` (0: the idle task). `entering`: slot of the previous task if it begins to wait, else
   * `NOT_QUEUED`. `tag`: tag of `next` if it waited for this CPU, else `NOT_QUEUED`. Returns the pid of the expected
   * task; 0 if there was none.
   */
  switched(cpu: number, next: number, slot: number, entering: number, tag: number): number;
  /** Counts the time since `sinceNs` as time that a task waited although its CPU was idle. */
  waitedForNothing(slot: number, sinceNs: TimestampNs): void;
  /** Adds the waits up to `now` to the pairs. */
  settle(): void;
  /** Forgets the waiting and running tasks, because events were lost. */
  lost(): void;
}

/** The methods are closures over constant arrays, because V8 then treats the addresses of the arrays as constants. */
export function makeContainerWaits(cpuCount: number): ContainerWaits {
  const pairs = new Float64Array(PAIRS);
  const now = cell();
  const queues = makeQueues(cpuCount);
  const { states, slots, counts, places, before, until } = queues;

  const queued = (slot: number, cpu: number): number => {
    if (states[(cpu << STATE_BITS) + LENGTH] === 0) until[cpu] = now[0];
    before[addWaiter(queues, cpu, slot)] += now[0] - until[cpu];
    return (cpu << SLOT_BITS) | slot;
  };

  /** Adds the waits of all tasks of the slot up to now, because `before` does not say which of them began later. */
  const leave = (tag: number): void => {
    if (tag < 0) return;
    const cpu = tag >>> SLOT_BITS;
    const slot = tag & SLOT_MASK;
    const row = (states[(cpu << STATE_BITS) + RUNNING] & SLOT_MASK) * ROW;
    const place = (cpu << SLOT_BITS) + places[tag];
    const ns = now[0] - until[cpu];
    pairs[row + slot] += ns * counts[place] - before[place];
    before[place] = ns * (counts[place] - 1);
    removeWaiter(queues, cpu, slot);
  };

  const waitedForNothing = (slot: number, sinceNs: TimestampNs): void => {
    pairs[NOBODY * ROW + slot] += Math.max(0, now[0] - sinceNs);
  };

  const settleCpu = (cpu: number): void => {
    const length = states[(cpu << STATE_BITS) + LENGTH];
    if (length === 0) return;
    // Less than 0 if events of different CPUs are out of order.
    const ns = Math.max(0, now[0] - until[cpu]);
    until[cpu] += ns;
    const row = (states[(cpu << STATE_BITS) + RUNNING] & SLOT_MASK) * ROW;
    const first = cpu << SLOT_BITS;
    for (let at = first; at < first + length; at++) {
      pairs[row + slots[at]] += ns * counts[at] - before[at];
      before[at] = 0;
    }
  };

  const leaves = (cpu: number, prev: number): void => {
    if (missesSwitch(states, cpu << STATE_BITS, prev)) states[(cpu << STATE_BITS) + RUNNING] = UNKNOWN;
  };

  const switched = (cpu: number, next: number, slot: number, entering: number, tag: number): number => {
    settleCpu(cpu);
    const state = cpu << STATE_BITS;
    if (tag >= 0) removeWaiter(queues, cpu, tag & SLOT_MASK);
    if (entering >= 0) queued(entering, cpu);
    states[state + TASK] = next;
    states[state + RUNNING] = slot;
    const expected = states[state + EXPECTED];
    if (expected !== 0) states[state + EXPECTED] = 0;
    return expected;
  };

  /** If the task is expected on a CPU, marks the CPU as idle and counts the wait since `sinceNs`. */
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

/** Whether a switch from `prev` proves that a record of the CPU is missing. */
function missesSwitch(states: Int32Array, state: number, prev: number): boolean {
  const task = states[state + TASK];
  return task > 0 && task !== prev && (prev !== 0 || task !== states[state + EXPECTED]);
}

interface Queues {
  states: Int32Array;
  /** By CPU: the slots with waiting tasks, and the number of waiting tasks of each. */
  slots: Uint8Array;
  counts: Float64Array;
  /** For each element of `slots`: sum of the times from `until` to when its tasks began to wait, if they began later. */
  before: Float64Array;
  /** By CPU and slot: index of the slot in the CPU's part of `slots`. Outdated if no task of the slot waits. */
  places: Uint8Array;
  /** By CPU: time up to which `pairs` includes the waits for this CPU. Valid only while tasks wait. */
  until: Float64Array;
}

function makeQueues(cpuCount: number): Queues {
  const room = cpuCount << SLOT_BITS;
  const queues: Queues = {
    states: new Int32Array(Math.max(cpuCount << STATE_BITS, SLOTS)),
    slots: new Uint8Array(room),
    counts: new Float64Array(room),
    before: new Float64Array(room),
    places: new Uint8Array(room),
    until: new Float64Array(Math.max(cpuCount, SLOTS)),
  };
  forgetAll(queues);
  return queues;
}

function forgetAll({ states, counts, before }: Queues): void {
  states.fill(0);
  counts.fill(0);
  before.fill(0);
  for (let state = 0; state < states.length; state += 1 << STATE_BITS) {
    states[state + TASK] = -1;
    states[state + RUNNING] = UNKNOWN;
  }
}

/** Returns the slot's index in `slots`. */
function addWaiter({ states, slots, counts, places }: Queues, cpu: number, slot: number): number {
  const first = cpu << SLOT_BITS;
  const place = first + places[first + slot];
  const length = states[(cpu << STATE_BITS) + LENGTH];
  // `places` can be outdated.
  if (place < first + length && slots[place] === slot) {
    counts[place] += 1;
    return place;
  }
  states[(cpu << STATE_BITS) + LENGTH] = length + 1;
  places[first + slot] = length;
  slots[first + length] = slot;
  counts[first + length] = 1;
  return first + length;
}

/** `before` of the slot must be 0. */
function removeWaiter({ states, slots, counts, places, before }: Queues, cpu: number, slot: number): void {
  const first = cpu << SLOT_BITS;
  const place = first + places[first + slot];
  const count = counts[place] - 1;
  counts[place] = count;
  if (count !== 0) return;
  const last = states[(cpu << STATE_BITS) + LENGTH] - 1;
  states[(cpu << STATE_BITS) + LENGTH] = last;
  slots[place] = slots[first + last];
  counts[place] = counts[first + last];
  before[place] = before[first + last];
  before[first + last] = 0;
  places[first + slots[place]] = place - first;
}
