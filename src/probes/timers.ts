/**
 * How late do timers expire? Events of include/trace/events/timer.h. hrtimers have the time at which they should expire in
 * nanoseconds, timers of the wheel in jiffies, so that lateness below a jiffy is 0. A timer may expire before its time,
 * if it allows that: it is then not late.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { constant, declaredProbe, histogram, pair } from './declared/built-in.ts';

const NAME = 'ftrace_timer_lateness_seconds';
const HELP = 'Time from the planned expiry of a timer to the start of its function.';

export const timers = declaredProbe({
  name: 'timers',
  help: 'How late kernel timers expire.',
  rate: 'high',
  buckets: decimalBuckets(1e-6, 1),
  metrics: [
    pair(NAME, HELP, 'timer:hrtimer_start', 'timer:hrtimer_expire_entry', {
      key: ['hrtimer'],
      between: { start: 'expires', end: 'now' },
      // A timer that is started again replaces its former start.
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
