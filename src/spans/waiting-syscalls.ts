/** Syscalls that normally wait for another task or a timer. They become traces only if the config names them. */
const WAITING = new Set([
  'accept',
  'accept4',
  'clock_nanosleep',
  'epoll_pwait',
  'epoll_pwait2',
  'epoll_wait',
  'epoll_wait_old',
  'flock',
  'futex',
  'futex_wait',
  'futex_waitv',
  'io_getevents',
  'io_pgetevents',
  'io_uring_enter',
  'mq_timedreceive',
  'msgrcv',
  'nanosleep',
  'pause',
  'poll',
  'ppoll',
  'pselect6',
  'recvfrom',
  'recvmmsg',
  'recvmsg',
  'restart_syscall',
  'rt_sigsuspend',
  'rt_sigtimedwait',
  'select',
  'semop',
  'semtimedop',
  'wait4',
  'waitid',
]);

export function waitsByNature(syscall: string): boolean {
  return WAITING.has(syscall);
}
