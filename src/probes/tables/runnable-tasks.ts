/**
 * Since when each waiting task has been runnable. If waits are also counted by container, the tag of a waiting task
 * identifies its queue.
 */
import { IDLE, SURPLUS } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';
import { type ContainerWaits, NOT_QUEUED } from './container-waits.ts';
import { TaskStamps } from './task-stamps.ts';

/** Receives the tasks that wait and run, by container. */
export interface WaitsByContainer {
  waits: ContainerWaits;
  /** Maps a thread id to a slot. */
  readonly table: Uint8Array;
  /** Counts a task whose slot belongs to no container. */
  miss(slot: number): void;
  /** A task was preempted by another task. If `bySlot` is `IDLE`, its CPU quota was used up. */
  preempted(slot: number, bySlot: number): void;
}

/** How a task left its CPU: it sleeps, it is still runnable, or it is not counted (idle task, agent's tasks). */
export const ASLEEP = 0;
export const PREEMPTED = 1;
export const UNCOUNTED = 2;

export class RunnableTasks {
  /** Waits that began before this time may have ended in a loss. */
  lostUntil: TimestampNs = 0;
  readonly #tasks = new TaskStamps();
  readonly #containers: WaitsByContainer | undefined;

  constructor(containers: WaitsByContainer | undefined) {
    this.#containers = containers;
  }

  /** A waker begins to wake a task. Its run queue is not known yet. */
  waking(pid: number, nowNs: TimestampNs): void {
    const tasks = this.#tasks;
    const place = tasks.place(pid);
    if (!this.#begins(place)) return;
    tasks.stamps[place] = nowNs;
    tasks.tags[place] = NOT_QUEUED;
  }

  /** A woken task joins the run queue of a CPU. */
  woken(pid: number, cpu: number, nowNs: TimestampNs): void {
    const tasks = this.#tasks;
    const place = tasks.place(pid);
    const begins = this.#begins(place);
    if (begins) tasks.stamps[place] = nowNs;
    const containers = this.#containers;
    if (containers === undefined || place === 0) return;
    containers.waits.now[0] = nowNs;
    if (begins || tasks.tags[place] === NOT_QUEUED)
      tasks.tags[place] = containers.waits.woken(pid, slotOf(containers, pid), cpu);
  }

  /**
   * A CPU switches from task `prev` to task `next`; 0 is the idle task. `departure` says how `prev` left the CPU.
   * Returns the time at which `next` became runnable; 0 if unknown.
   */
  switched(prev: number, departure: number, next: number, cpu: number, nowNs: TimestampNs): TimestampNs {
    const tasks = this.#tasks;
    const prevPlace = departure === UNCOUNTED ? 0 : tasks.place(prev);
    const place = tasks.at(next);
    const sinceNs = tasks.stamps[place];
    if (this.#containers !== undefined) {
      this.#containers.waits.now[0] = nowNs;
      this.#account(this.#containers, prevPlace, place, prev, departure, next, cpu);
    }
    if (prevPlace !== 0) tasks.stamps[prevPlace] = departure === PREEMPTED ? nowNs : 0;
    if (sinceNs !== 0) tasks.stamps[place] = 0;
    return sinceNs;
  }

  /** A task moves to the run queue of another CPU. */
  migrates(pid: number, cpu: number, nowNs: TimestampNs): void {
    const containers = this.#containers;
    if (containers === undefined) return;
    const tasks = this.#tasks;
    const place = tasks.at(pid);
    const sinceNs = tasks.stamps[place];
    if (sinceNs === 0 || sinceNs < this.lostUntil) return;
    const tag = tasks.tags[place];
    containers.waits.now[0] = nowNs;
    tasks.tags[place] = containers.waits.moved(pid, slotOf(containers, pid), tag, cpu, sinceNs);
  }

  lost(untilNs: TimestampNs): void {
    if (untilNs > this.lostUntil) this.lostUntil = untilNs;
    this.#containers?.waits.lost();
  }

  /** Whether a wake-up begins a wait. A second wake-up does not, unless the first wait may have ended in a loss. */
  #begins(place: number): boolean {
    const sinceNs = this.#tasks.stamps[place];
    return place !== 0 && (sinceNs === 0 || sinceNs < this.lostUntil);
  }

  /** Updates the waits by container. The places are those of the two tasks of the switch. */
  #account(
    containers: WaitsByContainer,
    prevPlace: number,
    place: number,
    prev: number,
    departure: number,
    next: number,
    cpu: number,
  ): void {
    const { stamps, tags } = this.#tasks;
    const { waits } = containers;
    const slot = next === 0 ? IDLE : slotOf(containers, next);
    let entering = NOT_QUEUED;
    if (prevPlace !== 0) {
      // No event showed that `prev` returned to a CPU, so it still counts as waiting.
      if (stamps[prevPlace] !== 0 && stamps[prevPlace] >= this.lostUntil) waits.left(tags[prevPlace]);
      if (departure === PREEMPTED) {
        entering = slotOf(containers, prev);
        tags[prevPlace] = waits.tagOf(cpu, entering);
        containers.preempted(entering, slot);
      }
    }
    const sinceNs = stamps[place];
    const waited = sinceNs !== 0 && sinceNs >= this.lostUntil;
    const tag = waited ? tags[place] : NOT_QUEUED;
    if (waited && tag < 0) waits.waitedForNothing(slot, sinceNs);
    const passedOver = waits.switched(cpu, prev, next, slot, entering, tag);
    if (passedOver !== 0) this.#passedOver(passedOver, cpu, containers);
  }

  /** A task did not get the idle CPU on which it was woken. It still waits, now for the task that got the CPU. */
  #passedOver(pid: number, cpu: number, containers: WaitsByContainer): void {
    const { waits } = containers;
    const tasks = this.#tasks;
    const place = tasks.at(pid);
    const sinceNs = tasks.stamps[place];
    if (sinceNs === 0 || sinceNs < this.lostUntil || tasks.tags[place] !== NOT_QUEUED) return;
    const slot = slotOf(containers, pid);
    waits.waitedForNothing(slot, sinceNs);
    tasks.tags[place] = waits.queued(slot, cpu);
  }
}

function slotOf(containers: WaitsByContainer, tid: number): number {
  const slot = containers.table[tid];
  if (slot <= SURPLUS) containers.miss(slot);
  return slot;
}
