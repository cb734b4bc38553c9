/**
 * How long do tasks wait for kernel locks? The events (since kernel 5.19) occur only if a task cannot get a lock
 * immediately. If a task first spins for a mutex and then sleeps, contention_begin occurs twice.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { LOCK_TYPES, OTHER_LOCK } from '../model/lock-types.ts';
import { declaredProbe, pair } from './declared/built-in.ts';

export const locks = declaredProbe({
  name: 'locks',
  help: 'How long tasks wait for contended kernel locks, by type of lock.',
  rate: 'high',
  ofTasks: true,
  buckets: decimalBuckets(1e-7, 1),
  metrics: [
    pair(
      'ftrace_lock_contention_seconds',
      'Time a task waited for a contended kernel lock, by type of lock.',
      'lock:contention_begin',
      'lock:contention_end',
      {
        key: ['common_pid', 'lock_addr'],
        nested: 'first',
        labels: { type: { field: 'start.flags', as: 'map', map: LOCK_TYPES, default: OTHER_LOCK } },
      },
    ),
  ],
});
