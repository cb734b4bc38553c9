/**
 * Scheduling classes of tasks: the values of the label `class` of run queue latency. The priority in the events
 * identifies real-time tasks (include/linux/sched/prio.h). The priority does not identify SCHED_BATCH and SCHED_IDLE,
 * so the agent looks up these classes and keeps them in a table by pid.
 */
export const TASK_CLASSES = ['normal', 'rt', 'batch', 'idle'] as const;

/** Each constant is an index of `TASK_CLASSES`. */
export const NORMAL = 0;
export const REALTIME = 1;
export const BATCH = 2;
export const IDLE = 3;

/** MAX_RT_PRIO of the kernel. SCHED_FIFO and SCHED_RR have lower priority values; SCHED_DEADLINE has -1. */
export const MAX_RT_PRIO = 100;

export interface TaskClasses {
  /**
   * Returns the class of a task that is not in a real-time class; `NORMAL` if unknown. Costs only one memory load,
   * because probes call it for every wait.
   */
  of(pid: number): number;
  /** Requests the class of this task. `refresh` looks it up later. */
  ask(pid: number): void;
  /** Gives a new task the class of its parent. */
  inherit(pid: number, parent: number): void;
  /** Looks up the class of a task immediately; the result can be a real-time class. Only for rare operations. */
  now(pid: number): number;
  /** Looks up the classes that `ask` requested. Called about once a second. */
  refresh(): void;
}
