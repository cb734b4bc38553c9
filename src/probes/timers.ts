/**
 * How late do timers expire? Reads events of include/trace/events/timer.h. The times of hrtimers are in nanoseconds,
 * and the times of timer wheel timers are in jiffies. If a timer wheel timer is less than one jiffy late, its lateness
 * is therefore 0. If a timer expires early, its lateness is 0 as well.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { constant, declaredProbe, histogram, pair } from './declared/built-in.ts';

const NAME = 'ftrace_timer_lateness_seconds';
const HELP = 'Delay from the planned expiry of a kernel timer until its function started, by kind of timer.';

export const timers = declaredProbe({
  name: 'timers',
  help: 'How late the functions of expired kernel timers start.',
  rate: 'high',
  buckets: decimalBuckets(1e-6, 1),
  metrics: [
    pair(NAME, HELP, 'timer:hrtimer_start', 'timer:hrtimer_expire_entry', {
      key: ['hrtimer'],
      between: { start: 'expires', end: 'now' },
      // If a timer is started again before it expires, the new start replaces the old one.
      startsAgain: true,
      labels: { kind: constant('hrtimer') },
    }),
    histogram(
      NAME,
      HELP,
      'timer:timer_expire_entry',
      { field: 'now', minus: 'baseclk', unit: 'jiffies' },
      { labels: { kind: constant('timer') }, isNobodys: true },
    ),
  ],
});
