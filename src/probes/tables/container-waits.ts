/**
 * Which container had the CPU while a task of another one waited for it. For each CPU: the container that has it, and
 * how many tasks of which containers wait in its queue. Every change of either adds the time since the last one to each
 * pair of a waiting container and the one that runs, so the pairs of a container add up to its waits.
 */
import { IDLE, SLOTS, UNKNOWN } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';

/** Tag of a waiting task that is in no queue here: what it waits for is known later, or never. Also: no slot. */
export const NOT_QUEUED = -1;
const SLOT_BITS = 8;
const SLOT_MASK = SLOTS - 1;

/**
 * The state of a CPU is a block of numbers in one array, because each further array would cost as much as the work. First:
 * its task; the slot that has it; a task that was woken while it was idle, and has it next (0: none); how many slots wait.
 */
const BLOCK_BITS = 10;
const TASK = 0;
const RUNNING = 1;
const EXPECTED = 2;
const LENGTH = 3;
/** By slot: how many tasks wait, and where the slot is in the list of slots that wait. */
const COUNTS = 256;
const PLACES = 512;
const WAITING = 768;

export class ContainerWaits {
  /** Nanoseconds by slot of the container that waited (high byte) and of the one that ran (low byte). */
  readonly pairs = new Float64Array(SLOTS * SLOTS);
  /** Time of the event at hand: as an argument it would be allocated for each call that is not inlined. */
  readonly now = new Float64Array(1);
  readonly #cpuCount: number;
  readonly #cpus: Int32Array;
  /** Until when a CPU's waits are accounted for; 0: nothing seen since the last loss. */
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
   * A task is woken into the queue of a CPU. Returns its tag. On an idle CPU it runs next; what it waits until then is
   * counted when it does, because some virtual machines record no switch out of the idle task.
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

  /** A task waits in the queue of a CPU from now on. Returns its tag. */
  queued(slot: number, cpu: number): number {
    this.#advance(cpu);
    addWaiter(this.#cpus, cpu << BLOCK_BITS, slot);
    return (cpu << SLOT_BITS) | slot;
  }

  /** A waiting task waits no longer, or not there. */
  left(tag: number): void {
    if (tag < 0) return;
    const cpu = tag >>> SLOT_BITS;
    this.#advance(cpu);
    removeWaiter(this.#cpus, cpu << BLOCK_BITS, tag & SLOT_MASK);
  }

  /** A waiting task goes to the queue of another CPU; `sinceNs`: when it began to wait. Returns its new tag. */
  moved(pid: number, slot: number, tag: number, cpu: number, sinceNs: TimestampNs): number {
    if (tag >= 0) this.left(tag);
    else if (!this.#unexpect(pid, slot, sinceNs)) return NOT_QUEUED;
    return cpu >= 0 && cpu < this.#cpuCount ? this.queued(slot, cpu) : NOT_QUEUED;
  }

  /**
   * A CPU switches from a task to another one; 0 is the idle task. `entering`: slot of the first if it waits from now on;
   * `tag` of the second if it has waited in a queue; or `NOT_QUEUED`. Returns the task that was expected there and goes on
   * waiting; 0 for none.
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

  /** A task got the idle CPU on which it was woken, as far as the events show: it waited for nothing else. */
  waitedForNothing(slot: number, sinceNs: TimestampNs): void {
    const ns = this.now[0] - sinceNs;
    if (ns > 0) this.pairs[(slot << SLOT_BITS) | IDLE] += ns;
  }

  /** Events were lost: nobody is known to wait or to run. */
  lost(): void {
    this.#until.fill(0);
    this.#cpus.fill(0);
    for (let cpu = 0; cpu < this.#cpuCount; cpu++) {
      this.#cpus[(cpu << BLOCK_BITS) + TASK] = -1;
      this.#cpus[(cpu << BLOCK_BITS) + RUNNING] = UNKNOWN;
    }
  }

  /** Whether a task was expected on an idle CPU. It is no longer, and its wait until now was for nothing else. */
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
    // Events of different CPUs can be a little out of order.
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
