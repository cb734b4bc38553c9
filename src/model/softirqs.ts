/** Names of softirq vectors, from include/linux/interrupt.h of the mainline kernel. */
export const SOFTIRQS = [
  'HI',
  'TIMER',
  'NET_TX',
  'NET_RX',
  'BLOCK',
  'IRQ_POLL',
  'TASKLET',
  'SCHED',
  'HRTIMER',
  'RCU',
];
