/** All probes there are, in the order of docs and listings. A new probe is a line here. */
import { block } from './block.ts';
import { events } from './events.ts';
import { irq } from './irq.ts';
import type { ProbeModule } from './probe.ts';
import { sched } from './sched.ts';
import { softirq } from './softirq.ts';
import { syscalls } from './syscalls.ts';

export const probeCatalogue: readonly ProbeModule[] = [sched, syscalls, block, irq, softirq, events];
