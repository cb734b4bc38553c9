/** Tracers that can be on together, each in its own buffer: function, function_graph, timerlat, wakeup_rt, blk. */
import { after } from 'node:test';
import { checkBlk } from './check-blk.ts';
import { checkFunction } from './check-function.ts';
import { checkFunctionGraph } from './check-function_graph.ts';
import { checkTimerlat } from './check-timerlat.ts';
import { checkWakeup } from './check-wakeup.ts';
import { livesInInstance } from './recording.ts';
import { startTaskTree } from './task-tree.ts';
import { checkGroup } from './tracer-group.ts';

const tree = startTaskTree();
after(() => tree.end());
const calls = [checkFunction(tree), checkFunctionGraph(tree)];
// Both may want the top level, which only one can have: see tracers-noise.
const blk = livesInInstance('function_graph') ? [checkBlk] : [];
checkGroup({
  checks: [...calls, checkTimerlat, checkWakeup('wakeup_rt'), ...blk],
  readers: ['raw', 'trace_pipe'],
  kill: true,
});
