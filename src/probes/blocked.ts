/**
 * How long do tasks sleep uninterruptibly (state D), usually to wait for a disk? Kernel threads that wait for work
 * (TASK_IDLE) are not measured, because their `prev_state` has another bit.
 */
import { counter, declaredProbe, pair } from './declared/built-in.ts';

const UNINTERRUPTIBLE = 2;

export const blocked = declaredProbe({
  name: 'blocked',
  help: 'How long tasks sleep uninterruptibly (state D), and how many hang.',
  rate: 'low',
  ofTasks: true,
  metrics: [
    pair(
      'ftrace_blocked_seconds',
      'Time a task slept uninterruptibly (state D).',
      { event: 'sched:sched_switch', where: `prev_state & ${UNINTERRUPTIBLE}` },
      'sched:sched_wakeup',
      // Most wake-ups end interruptible sleeps, so many end events have no start event.
      { key: [{ start: 'prev_pid', end: 'pid' }], endsAlone: true, task: 'pid' },
    ),
    counter(
      'ftrace_hung_tasks_total',
      'Tasks that slept uninterruptibly for longer than kernel.hung_task_timeout_secs.',
      'sched:sched_process_hang',
      { isNobodys: true },
    ),
  ],
});
