/** The other tracers of wake-ups, of which the kernel runs one at a time. The reader is nothing to them. */
import { checkWakeup } from './check-wakeup.ts';
import { checkGroup } from './tracer-group.ts';

for (const tracer of ['wakeup', 'wakeup_dl'])
  checkGroup({ checks: [checkWakeup(tracer)], readers: ['raw'], kill: false, reads: false });
