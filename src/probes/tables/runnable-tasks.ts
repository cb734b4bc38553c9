/**
 * Stores when each waiting task became runnable. To measure waits by container, each has a tag (container-waits.ts).
 */
import { IDLE } from '../../model/containers.ts';
import type { TimestampNs } from '../../model/time.ts';
import { cell } from './cell.ts';
import { type ContainerWaits, NOT_QUEUED } from './container-waits.ts';
import { TaskStamps } from './task-stamps.ts';

export interface WaitsByContainer {
  readonly waits: ContainerWaits;
  slotOf(tid: number): number;
  /**
   * A task of container `slot` was preempted by a task of `bySlot`. `bySlot` is `IDLE` if the container had used up its
   * CPU quota and no task ran next.
   */
  preempted(slot: number, bySlot: number): void;
}

/** How a CPU switched away from a task: it sleeps, it is still runnable, or it is idle or a task of the agent. */
export const ASLEEP = 0;
export const PREEMPTED = 1;
export const UNCOUNTED = 2;

const SLOT_BITS = 8;

// V8 would read an imported constant from memory at each use.
const NOBODY = IDLE;

export interface RunnableTasks {
  /** Element 0: end of the last loss of events. Waits that began earlier are ignored. */
  readonly lostUntil: Float64Array;
  /** Element 0: time of the current event, which the caller sets first. V8 would allocate a double for an argument. */
  readonly now: Float64Array;
  /** Element 0: time at which the `next` of the last `switched` became runnable; 0 if unknown. */
  readonly since: Float64Array;
  /** Begins the wait of a task. Its run queue is not known yet. */
  waking(pid: number): void;
  /** A woken task joins the run queue of a CPU. */
  woken(pid: number, cpu: number): void;
  /** A CPU switches from `prev` to `next` (0: the idle task). `departure`: `ASLEEP`, `PREEMPTED` or `UNCOUNTED`. */
  switched(prev: number, departure: number, next: number, cpu: number): void;
  /** A task moves to the run queue of another CPU. */
  migrates(pid: number, cpu: number): void;
  lost(untilNs: TimestampNs): void;
}

interface Tables {
  tasks: TaskStamps;
  lostUntil: Float64Array;
}

export function makeRunnableTasks(containers: WaitsByContainer | undefined): RunnableTasks {
  const tasks = new TaskStamps();
  const lostUntil = cell();
  const now = containers?.waits.now ?? cell();
  const since = cell();
  const queues = containers && makeQueues({ tasks, lostUntil }, containers);
  return {
    ...{ lostUntil, now, since },
    waking: (pid) => {
      const place = tasks.place(pid);
      const sinceNs = tasks.stamps[place];
      if (place === 0 || (sinceNs !== 0 && sinceNs >= lostUntil[0])) return;
      tasks.stamps[place] = now[0];
      tasks.tags[place] = NOT_QUEUED;
    },
    woken: (pid, cpu) => {
      const place = tasks.place(pid);
      if (place === 0) return;
      const sinceNs = tasks.stamps[place];
      // A second wake-up does not begin a new wait, unless the end of the first wait may be lost.
      const begins = sinceNs === 0 || sinceNs < lostUntil[0];
      if (begins) tasks.stamps[place] = now[0];
      if (queues !== undefined && (begins || tasks.tags[place] < 0)) queues.woken(place, pid, cpu);
    },
    switched: (prev, departure, next, cpu) => {
      const prevPlace = departure === UNCOUNTED ? 0 : tasks.place(prev);
      const place = tasks.at(next);
      since[0] = tasks.stamps[place];
      if (queues !== undefined) queues.switched(prev, prevPlace, departure, next, place, cpu);
      if (prevPlace !== 0) tasks.stamps[prevPlace] = departure === PREEMPTED ? now[0] : 0;
      if (place !== 0) tasks.stamps[place] = 0;
    },
    migrates: (pid, cpu) => queues?.migrates(pid, cpu),
    lost: (untilNs) => {
      if (untilNs > lostUntil[0]) lostUntil[0] = untilNs;
      containers?.waits.lost();
    },
  };
}

/** Updates the tags of waiting tasks. A `place` is an index in `tasks`. */
function makeQueues({ tasks, lostUntil }: Tables, { waits, slotOf, preempted }: WaitsByContainer) {
  const { now } = waits;
  /**
   * Task `pid` was woken on an idle CPU, but the CPU now switches to another task. The time up to now counts as time
   * that the task waited although its CPU was idle.
   */
  const passedOver = (pid: number, cpu: number): void => {
    const place = tasks.at(pid);
    const sinceNs = tasks.stamps[place];
    if (sinceNs === 0 || sinceNs < lostUntil[0] || tasks.tags[place] !== NOT_QUEUED) return;
    const slot = slotOf(pid);
    waits.waitedForNothing(slot, sinceNs);
    tasks.tags[place] = waits.queued(slot, cpu);
  };
  /** Ends the wait of a task that ran without a recorded switch to it. */
  const endsUnseen = (place: number): void => {
    if (tasks.stamps[place] >= lostUntil[0]) waits.leave(tasks.tags[place]);
  };
  return {
    woken: (place: number, pid: number, cpu: number): void => {
      // During a loss of events, waits are not measured by container.
      tasks.tags[place] = now[0] < lostUntil[0] ? NOT_QUEUED : waits.woken(pid, slotOf(pid), cpu);
    },
    switched: (
      prev: number,
      prevPlace: number,
      departure: number,
      next: number,
      place: number,
      cpu: number,
    ): void => {
      const { stamps, tags } = tasks;
      waits.leaves(cpu, prev);
      const slot = next === 0 ? NOBODY : slotOf(next);
      let entering = NOT_QUEUED;
      if (prevPlace !== 0) {
        if (stamps[prevPlace] !== 0) endsUnseen(prevPlace);
        if (departure === PREEMPTED) {
          const prevSlot = slotOf(prev);
          preempted(prevSlot, slot);
          if (now[0] >= lostUntil[0]) entering = prevSlot;
          tags[prevPlace] = entering < 0 ? NOT_QUEUED : (cpu << SLOT_BITS) | entering;
        }
      }
      let tag = NOT_QUEUED;
      const sinceNs = stamps[place];
      if (sinceNs !== 0 && sinceNs >= lostUntil[0]) {
        tag = tags[place];
        if (tag < 0) waits.waitedForNothing(slot, sinceNs);
        else if (tag >> SLOT_BITS !== cpu) {
          waits.leave(tag);
          tag = NOT_QUEUED;
        }
      }
      const expected = waits.switched(cpu, next, slot, entering, tag);
      if (expected !== 0 && expected !== next && expected !== prev) passedOver(expected, cpu);
    },
    migrates: (pid: number, cpu: number): void => {
      const place = tasks.at(pid);
      const sinceNs = tasks.stamps[place];
      if (sinceNs === 0 || sinceNs < lostUntil[0]) return;
      tasks.tags[place] = waits.moved(pid, slotOf(pid), tasks.tags[place], cpu, sinceNs);
    },
  };
}
