/**
 * Scheduling classes of tasks: values of the label `class`. Priorities in events identify real-time tasks, but not
 * SCHED_BATCH and SCHED_IDLE, so the agent looks up these two and keeps them by pid.
 */
export const TASK_CLASSES = ['normal', 'rt', 'batch', 'idle'] as const;

/** Each constant is an index of `TASK_CLASSES`. */
export const NORMAL = 0;
export const REALTIME = 1;
export const BATCH = 2;
export const IDLE = 3;

/** As in the kernel. SCHED_FIFO and SCHED_RR have lower priority values; SCHED_DEADLINE has -1. */
export const MAX_RT_PRIO = 100;

export interface TaskClasses {
  /**
   * Class of a task that is not in a real-time class; `NORMAL` if unknown. Called for every wait, so it must be fast.
   */
  of(pid: number): number;
  /** Requests the class of this task. `refresh` looks it up later. */
  ask(pid: number): void;
  /** Gives a new task the class of its parent. */
  inherit(pid: number, parent: number): void;
  /** Looks up the class of a task immediately, including real-time classes. Slow. */
  now(pid: number): number;
  /** Looks up the classes that `ask` requested. Called about once a second. */
  refresh(): void;
}
