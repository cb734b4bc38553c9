/**
 * How long do tasks sleep without being interruptible, most often for a disk? From sched:sched_switch with the bit
 * TASK_UNINTERRUPTIBLE to the task's wake-up. Kernel threads that only wait for work (TASK_IDLE) have another bit there.
 */
import { counter, declaredProbe, pair } from './declared/built-in.ts';

const UNINTERRUPTIBLE = 2;

export const blocked = declaredProbe({
  name: 'blocked',
  help: 'How long tasks sleep without being interruptible, and which hang.',
  rate: 'low',
  metrics: [
    pair(
      'ftrace_blocked_seconds',
      'Time a task slept without being interruptible.',
      { event: 'sched:sched_switch', where: `prev_state & ${UNINTERRUPTIBLE}` },
      'sched:sched_wakeup',
      // Most wake-ups are of other sleeps.
      { key: [{ start: 'prev_pid', end: 'pid' }], endsAlone: true },
    ),
    counter(
      'ftrace_hung_tasks_total',
      'Tasks that slept so for longer than kernel.hung_task_timeout_secs.',
      'sched:sched_process_hang',
      { isNobodys: true },
    ),
  ],
});
