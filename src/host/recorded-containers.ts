/** Finds the container of every task in a recording, from events and from parts of a recorded table. */
import {
  type ContainerEvents,
  type Containers,
  FIXED_LABELS,
  KERNEL,
  type RecordedPart,
  UNKNOWN,
} from '../model/containers.ts';
import { ContainerSlots } from './container-slots.ts';
import { taskGroupOf } from './task-groups.ts';
import { TaskSlots } from './task-slots.ts';

export interface RecordedContainers extends Containers, ContainerEvents {
  /** Adds a part of the table. */
  read(part: RecordedPart): void;
  /** Marks the end of the recording. Containers of pods without recorded names then get their ids as names. */
  end(): void;
  hasTable(): boolean;
}

export function openRecordedContainers(max: number): RecordedContainers {
  const tasks = new TaskSlots();
  const slots = new ContainerSlots(max, tasks, () => 0);
  /** The other threads of each process, by the id of its main thread. */
  const threads = new Map<number, Set<number>>();
  const firstOf = new Map<number, number>();
  let hierarchy: number | undefined;
  let hasEnded = false;

  const joins = (tid: number, first: number): void => {
    firstOf.set(tid, first);
    const others = threads.get(first) ?? new Set();
    threads.set(first, others.add(tid));
  };
  const read = ({
    path,
    labels,
    tids = [],
    process: [first, ...others] = [],
    ...part
  }: RecordedPart): void => {
    hierarchy = part.hierarchy ?? hierarchy;
    for (const tid of others) joins(tid, first);
    const slot = path === undefined ? KERNEL : slots.of(taskGroupOf(path));
    if (labels !== undefined) slots.name(slot, labels);
    // Keep a slot that an event has set, because the event may be newer than the scan.
    for (const tid of tids) if (tasks.peek(tid) === UNKNOWN) tasks.set(tid, slot);
  };
  return {
    table: tasks.table,
    miss: tasks.miss,
    missed: tasks.missed,
    labels: (slot) => FIXED_LABELS[slot] ?? slots.labels(slot) ?? slots.plainLabels(slot, hasEnded),
    ids: (slot) => slots.ids(slot),
    slots: () => (hierarchy === undefined ? [] : slots.all()),
    usage: () => undefined,
    onRelease: (callback) => slots.onRelease(callback),
    forked: (tid, parent, isThread) => {
      tasks.set(tid, tasks.peek(parent));
      threads.delete(tid);
      firstOf.delete(tid);
      if (isThread) joins(tid, firstOf.get(parent) ?? parent);
    },
    clonedInto: (tid) => tasks.set(tid, UNKNOWN),
    attached: (tid, id, path) => {
      if (hierarchy === undefined || id !== hierarchy) return;
      tasks.set(tid, slots.of(taskGroupOf(path)));
      // The event contains only the main thread of the process. The other threads may also have moved.
      for (const other of threads.get(tid) ?? []) tasks.set(other, UNKNOWN);
    },
    lost: () => tasks.clear(),
    refresh: () => {},
    read,
    end: () => {
      hasEnded = true;
    },
    hasTable: () => hierarchy !== undefined,
  };
}
