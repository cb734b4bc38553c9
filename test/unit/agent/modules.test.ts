/** Kernel modules that are loaded while the agent is running. The capture has no buffer; only its checks run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeOwnThreads } from '../../../src/agent/live/own-threads.ts';
import { type LiveParts, type LiveState, runCapture } from '../../../src/agent/live/run.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { MetricStore } from '../../../src/metrics/store.ts';

function capture(reader: 'raw' | 'trace_pipe', isUp: boolean) {
  const store = new MetricStore();
  const events: string[] = [];
  const probes = [{ name: 'kvm', up: isUp, reason: isUp ? '' : 'no event', events: [] }];
  const state = { spans: undefined, buffers: [], warnings: [], facts: { probes } } as unknown as LiveState;
  const log = { debug() {}, warn() {}, error() {}, info: (_: object, text: string) => events.push(text) };
  let changes = 0;
  const running = runCapture({
    shared: { config: { reader }, store, self: makeSelfMetrics(store), own: makeOwnThreads(), log },
    state,
    counts: { isEmpty: () => true, health: () => ({ problems: [], notices: [], down: new Map() }) },
    tracers: { refresh() {} },
    modules: {
      changed: () => {
        changes++;
        return changes === 1;
      },
    },
    refreshNames() {},
    reload: () => {
      events.push('reload');
      return state;
    },
    close: () => [],
    options: { log, onProblem() {}, onFatal: assert.fail },
  } as unknown as LiveParts);
  return { running, events, looks: () => changes };
}

test('probes that are off are tried again when modules were loaded, and only then', {
  timeout: 60_000,
}, async () => {
  const off = capture('raw', false);
  const on = capture('raw', true);
  const text = capture('trace_pipe', false);
  // The capture checks for new modules every five seconds.
  while (off.looks() < 2) await new Promise((resolve) => setTimeout(resolve, 100));
  for (const { running } of [off, on, text]) await running.stop();
  assert.equal(off.events.filter((event) => event === 'reload').length, 1, off.events.join());
  assert.match(off.events[0], /kernel modules were loaded/);
  assert.deepEqual(on.events, []);
  assert.deepEqual(text.events, [], 'the text reader cannot add events');
});
