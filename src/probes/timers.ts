/**
 * How late do timers expire? Reads events of include/trace/events/timer.h. The planned expiry of an hrtimer
 * is in nanoseconds. The planned expiry of a timer wheel timer is in jiffies, so a lateness below one jiffy
 * counts as 0. The lateness of a timer that expires early is also 0.
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
      // A second start of a timer before its expiry replaces the first start.
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
