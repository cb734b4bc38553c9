/** Tracers of interrupts and preemption that are off; the kernel runs one of them at a time. */
import { checkOff } from './check-off.ts';
import { checkGroup } from './tracer-group.ts';

for (const tracer of ['irqsoff', 'preemptoff', 'preemptirqsoff'])
  checkGroup({ checks: [checkOff(tracer)], readers: ['raw'], kill: tracer === 'irqsoff', reads: false });
