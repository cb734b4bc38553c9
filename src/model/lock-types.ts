/**
 * Lock types by the flags of lock:contention_begin (include/trace/events/lock.h): SPIN 1, READ 2, WRITE 4, RT 8, PERCPU
 * 16, MUTEX 32.
 */
export const LOCK_TYPES: Readonly<Record<number, string>> = {
  0: 'semaphore',
  1: 'spin',
  2: 'rwsem_read',
  3: 'rwlock_read',
  4: 'rwsem_write',
  5: 'rwlock_write',
  8: 'rtmutex',
  18: 'percpu_rwsem_read',
  20: 'percpu_rwsem_write',
  32: 'mutex',
  33: 'mutex',
};
export const OTHER_LOCK = 'other';
