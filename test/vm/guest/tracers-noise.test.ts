/**
 * Tracers with a threshold, which cannot be on together with those of calls and wake-ups; and blk, if these have taken
 * its place.
 */
import { checkBlk } from './check-blk.ts';
import { checkHwlat } from './check-hwlat.ts';
import { checkOsnoise } from './check-osnoise.ts';
import { livesInInstance } from './recording.ts';
import { checkGroup } from './tracer-group.ts';

const blk = livesInInstance('function_graph') ? [] : [checkBlk];
checkGroup({ checks: [checkOsnoise, checkHwlat, ...blk], readers: ['raw', 'trace_pipe'], kill: true });
