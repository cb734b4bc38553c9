/**
 * How late do timers expire? Timer wheel timers have times in jiffies, so less than one jiffy of lateness counts as 0.
 * An early expiry also counts as 0.
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
      // A timer can be started again before it expires.
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
