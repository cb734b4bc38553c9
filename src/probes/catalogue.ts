/** All probes, in the order in which docs and listings show them. */

import { LATENCY_TRACERS } from '../model/tracer.ts';
import { blk } from './blk.ts';
import { block } from './block.ts';
import { blocked } from './blocked.ts';
import { events } from './events.ts';
import { filesystem } from './filesystem.ts';
import { functionCalls } from './function.ts';
import { functionGraph } from './function-graph.ts';
import { hwlat } from './hwlat.ts';
import { idle } from './idle.ts';
import { irq } from './irq.ts';
import { isolation } from './isolation.ts';
import { kvm } from './kvm.ts';
import { latencyProbe } from './latency.ts';
import { locks } from './locks.ts';
import { memory } from './memory.ts';
import { network } from './network.ts';
import { nvme } from './nvme.ts';
import { osnoise } from './osnoise.ts';
import type { ProbeModule } from './probe.ts';
import { sched } from './sched.ts';
import { softirq } from './softirq.ts';
import { syscalls } from './syscalls.ts';
import { timerlat } from './timerlat.ts';
import { timers } from './timers.ts';
import { workqueue } from './workqueue.ts';

export const probeCatalogue: readonly ProbeModule[] = [
  sched,
  syscalls,
  block,
  irq,
  softirq,
  events,
  functionCalls,
  functionGraph,
  osnoise,
  timerlat,
  hwlat,
  ...LATENCY_TRACERS.map(latencyProbe),
  blk,
  memory,
  network,
  locks,
  filesystem,
  nvme,
  workqueue,
  timers,
  isolation,
  idle,
  kvm,
  blocked,
];
