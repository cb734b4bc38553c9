/** The other tracers of wake-ups; the kernel runs one of them at a time. They do not depend on the reader. */
import { checkWakeup } from './check-wakeup.ts';
import { checkGroup } from './tracer-group.ts';

for (const tracer of ['wakeup', 'wakeup_dl'])
  checkGroup({ checks: [checkWakeup(tracer)], readers: ['raw'], kill: false, reads: false });
