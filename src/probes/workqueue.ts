/**
 * How long does deferred work wait, and run? The events of include/trace/events/workqueue.h. A work item waits by its
 * address; it runs by the worker, because it may be freed and used again
 * while it runs.
 */
import { declaredProbe, pair } from './declared/built-in.ts';

const START = 'workqueue:workqueue_execute_start';

export const workqueue = declaredProbe({
  name: 'workqueue',
  help: 'How long work items of the kernel wait in a queue, and how long they run.',
  rate: 'low',
  metrics: [
    pair(
      'ftrace_workqueue_latency_seconds',
      'Time from queueing a work item to its start.',
      'workqueue:workqueue_queue_work',
      START,
      // A number before 5.16.
      { key: ['work'], labels: { workqueue: { field: 'start.workqueue', as: 'text', isOptional: true } } },
    ),
    pair(
      'ftrace_workqueue_duration_seconds',
      'Time a work item ran.',
      START,
      'workqueue:workqueue_execute_end',
      { labels: { function: { field: 'start.function', as: 'symbol' } } },
    ),
  ],
});
