/**
 * Scheduling classes of tasks, as the label `class` of waits for a CPU names them. The priority in the events shows
 * real-time tasks (include/linux/sched/prio.h). It does not show SCHED_BATCH and SCHED_IDLE: for these, a table by pid
 * is filled from elsewhere.
 */
export const TASK_CLASSES = ['normal', 'rt', 'batch', 'idle'] as const;

/** Index of a class in `TASK_CLASSES`. */
export const NORMAL = 0;
export const REALTIME = 1;
export const BATCH = 2;
export const IDLE = 3;

/** MAX_RT_PRIO: lower priorities are those of SCHED_FIFO and SCHED_RR; SCHED_DEADLINE has -1. */
export const MAX_RT_PRIO = 100;

export interface TaskClasses {
  /** Class of a task that is not real-time, as far as it is known. Called for every wait: one load. */
  of(pid: number): number;
  /** The class of this task matters. It is looked up later, in `refresh`. */
  ask(pid: number): void;
  /** A new task has the class of the task that made it. */
  inherit(pid: number, parent: number): void;
  /** Class of a task, looked up at once, real-time included. For operations that are rare. */
  now(pid: number): number;
  /** Looks up the classes that `ask` requested. Called about once a second. */
  refresh(): void;
}
