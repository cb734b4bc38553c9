/**
 * Which container used the CPU while a task of another container waited for it. Keeps, for each CPU, the running
 * container and the number of waiting tasks per container. Each change adds the time since the previous change to the
 * pairs of waiting and running container. The sum over a container's pairs therefore equals its waits.
 */
import { IDLE, SLOTS, UNKNOWN } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';

/** Tag of a waiting task that no CPU counts: it is being woken, is next on an idle CPU, or its CPU is unknown. */
export const NOT_QUEUED = -1;
const SLOT_BITS = 8;
const SLOT_MASK = SLOTS - 1;

/**
 * The state of a CPU is a block of numbers in one shared array, because more arrays would cost more time. The first
 * numbers are: the running task; its slot; the task woken while the CPU was idle, which should run next; the number of
 * waiting slots.
 */
const BLOCK_BITS = 10;
const TASK = 0;
const RUNNING = 1;
const EXPECTED = 2;
const LENGTH = 3;
/** By slot: the number of waiting tasks, and the index of the slot in the list of waiting slots. */
const COUNTS = 256;
const PLACES = 512;
const WAITING = 768;

export class ContainerWaits {
  /** Nanoseconds by slot of the waiting container (high byte) and of the running container (low byte). */
  readonly pairs = new Float64Array(SLOTS * SLOTS);
  /** Time of the current event. As an argument, the double would be allocated in each call that is not inlined. */
  readonly now = new Float64Array(1);
  readonly #cpuCount: number;
  readonly #cpus: Int32Array;
  /** Time up to which a CPU's waits are added up; 0 if nothing was seen since the last loss. */
  readonly #until: Float64Array;

  constructor(cpuCount: number) {
    this.#cpuCount = cpuCount;
    this.#cpus = new Int32Array(cpuCount << BLOCK_BITS);
    this.#until = new Float64Array(cpuCount);
    this.lost();
  }

  /** Tag of a task with this slot that waits in the queue of a CPU. */
  tagOf(cpu: number, slot: number): number {
    return (cpu << SLOT_BITS) | slot;
  }

  /**
   * A task was woken and joined the queue of a CPU. Returns its tag. On an idle CPU the task runs next; its wait is
   * added when it runs, because some virtual machines record no switch out of the idle task.
   */
  woken(pid: number, slot: number, cpu: number): number {
    if (!(cpu >= 0 && cpu < this.#cpuCount)) return NOT_QUEUED;
    const cpus = this.#cpus;
    const block = cpu << BLOCK_BITS;
    const task = cpus[block + TASK];
    if (task === pid) return NOT_QUEUED;
    if (task === 0 && cpus[block + LENGTH] === 0) {
      cpus[block + TASK] = pid;
      cpus[block + RUNNING] = slot;
      cpus[block + EXPECTED] = pid;
      this.#until[cpu] = this.now[0];
      return NOT_QUEUED;
    }
    this.#advance(cpu);
    addWaiter(cpus, block, slot);
    return (cpu << SLOT_BITS) | slot;
  }

  /** A task begins to wait in the queue of a CPU. Returns its tag. */
  queued(slot: number, cpu: number): number {
    this.#advance(cpu);
    addWaiter(this.#cpus, cpu << BLOCK_BITS, slot);
    return (cpu << SLOT_BITS) | slot;
  }

  /** A task no longer waits in this queue. */
  left(tag: number): void {
    if (tag < 0) return;
    const cpu = tag >>> SLOT_BITS;
    this.#advance(cpu);
    removeWaiter(this.#cpus, cpu << BLOCK_BITS, tag & SLOT_MASK);
  }

  /** A waiting task moves to the queue of another CPU. `sinceNs`: when it began to wait. Returns its new tag. */
  moved(pid: number, slot: number, tag: number, cpu: number, sinceNs: TimestampNs): number {
    if (tag >= 0) this.left(tag);
    else if (!this.#unexpect(pid, slot, sinceNs)) return NOT_QUEUED;
    return cpu >= 0 && cpu < this.#cpuCount ? this.queued(slot, cpu) : NOT_QUEUED;
  }

  /**
   * A CPU switches from task `prev` to task `next`; 0 is the idle task. `entering`: the slot of `prev` if it begins to
   * wait. `tag`: the tag of `next` if it waited in a queue. Both can be `NOT_QUEUED`. Returns the task that was
   * expected to run and still waits; 0 if none.
   */
  switched(cpu: number, prev: number, next: number, slot: number, entering: number, tag: number): number {
    this.#advance(cpu);
    const cpus = this.#cpus;
    const block = cpu << BLOCK_BITS;
    if (entering >= 0) addWaiter(cpus, block, entering);
    if (tag >= 0) {
      if (tag >>> SLOT_BITS === cpu) removeWaiter(cpus, block, tag & SLOT_MASK);
      else this.left(tag);
    }
    cpus[block + TASK] = next;
    cpus[block + RUNNING] = slot;
    const expected = cpus[block + EXPECTED];
    if (expected === 0) return 0;
    cpus[block + EXPECTED] = 0;
    return expected === next || expected === prev ? 0 : expected;
  }

  /** Counts a wait since `sinceNs` as caused by no other task: the CPU was idle, as far as the events show. */
  waitedForNothing(slot: number, sinceNs: TimestampNs): void {
    const ns = this.now[0] - sinceNs;
    if (ns > 0) this.pairs[(slot << SLOT_BITS) | IDLE] += ns;
  }

  /** Events were lost: forget which tasks wait or run. */
  lost(): void {
    this.#until.fill(0);
    this.#cpus.fill(0);
    for (let cpu = 0; cpu < this.#cpuCount; cpu++) {
      this.#cpus[(cpu << BLOCK_BITS) + TASK] = -1;
      this.#cpus[(cpu << BLOCK_BITS) + RUNNING] = UNKNOWN;
    }
  }

  /** If a task was expected on an idle CPU, counts its wait so far, no longer expects it and returns true. */
  #unexpect(pid: number, slot: number, sinceNs: TimestampNs): boolean {
    for (let cpu = 0; cpu < this.#cpuCount; cpu++) {
      const block = cpu << BLOCK_BITS;
      if (this.#cpus[block + EXPECTED] !== pid) continue;
      this.#advance(cpu);
      this.#cpus[block + EXPECTED] = 0;
      this.#cpus[block + TASK] = 0;
      this.#cpus[block + RUNNING] = IDLE;
      this.waitedForNothing(slot, sinceNs);
      return true;
    }
    return false;
  }

  #advance(cpu: number): void {
    const nowNs = this.now[0];
    const ns = nowNs - this.#until[cpu];
    // Events of different CPUs can be slightly out of order.
    if (ns <= 0) return;
    this.#until[cpu] = nowNs;
    const cpus = this.#cpus;
    const block = cpu << BLOCK_BITS;
    const length = cpus[block + LENGTH];
    const running = cpus[block + RUNNING];
    for (let at = block + WAITING; at < block + WAITING + length; at++) {
      const slot = cpus[at];
      this.pairs[(slot << SLOT_BITS) | running] += ns * cpus[block + COUNTS + slot];
    }
  }
}

function addWaiter(cpus: Int32Array, block: number, slot: number): void {
  if (cpus[block + COUNTS + slot]++ !== 0) return;
  const place = cpus[block + LENGTH]++;
  cpus[block + WAITING + place] = slot;
  cpus[block + PLACES + slot] = place;
}

function removeWaiter(cpus: Int32Array, block: number, slot: number): void {
  if (--cpus[block + COUNTS + slot] !== 0) return;
  const last = cpus[block + WAITING + --cpus[block + LENGTH]];
  const place = cpus[block + PLACES + slot];
  cpus[block + WAITING + place] = last;
  cpus[block + PLACES + last] = place;
}
