/**
 * How long does deferred work wait, and how long does it run? A waiting item is identified by its address. A running
 * item is identified by its worker's pid, because its function may free the item.
 */
import { declaredProbe, pair } from './declared/built-in.ts';

const START = 'workqueue:workqueue_execute_start';

export const workqueue = declaredProbe({
  name: 'workqueue',
  help: 'How long kernel work items wait in a queue, and how long they run.',
  rate: 'low',
  metrics: [
    pair(
      'ftrace_workqueue_latency_seconds',
      'Time a kernel work item waited in its workqueue until it started.',
      'workqueue:workqueue_queue_work',
      START,
      // Before kernel 5.16, the field `workqueue` is a number, so the label value is `unknown`.
      { key: ['work'], labels: { workqueue: { field: 'start.workqueue', as: 'text', isOptional: true } } },
    ),
    pair(
      'ftrace_workqueue_duration_seconds',
      'Time that a kernel work item ran, by the function that it ran.',
      START,
      'workqueue:workqueue_execute_end',
      { labels: { function: { field: 'start.function', as: 'symbol' } } },
    ),
  ],
});
