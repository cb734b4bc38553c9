/** A capture that fails and whose clean-up fails, too: both reasons are reported. The capture has no buffer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeOwnThreads } from '../../../src/agent/live/own-threads.ts';
import { type LiveParts, type LiveState, runCapture } from '../../../src/agent/live/run.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { MetricStore } from '../../../src/metrics/store.ts';

const BOTH = 'the clock was changed; the clean-up after this error failed, too: EBUSY';
const fail = () => {
  throw new Error('the clock was changed');
};

function capture(more: { finish?(): void; wasTouched?(): boolean; onFatal?(error: unknown): void }) {
  const store = new MetricStore();
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const buffer = { start() {}, beforeTick() {}, refresh() {}, wasTouched: () => false, finish() {}, ...more };
  const state = { spans: undefined, buffers: [buffer], warnings: [], facts: { probes: [] } };
  return runCapture({
    shared: { config: {}, store, self: makeSelfMetrics(store), own: makeOwnThreads(), log },
    state: state as unknown as LiveState,
    counts: { isEmpty: () => true, health: () => ({ problems: [], notices: [], down: new Map() }) },
    tracers: { refresh() {} },
    modules: { changed: () => false },
    refreshNames() {},
    reload: fail,
    close: () => [new Error('EBUSY')],
    options: { log, onProblem() {}, onFatal: assert.fail, ...more },
  } as unknown as LiveParts);
}

test('reading failed', { timeout: 60_000 }, async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  capture({ wasTouched: fail, onFatal: resolve });
  assert.equal(((await promise) as Error).message, BOTH);
});

test('a reload failed', () => {
  const { reload } = capture({});
  assert.throws(() => reload?.({} as never), { message: BOTH });
});

test('the stop failed', async () => {
  await assert.rejects(capture({ finish: fail }).stop(), { message: BOTH });
  await assert.rejects(capture({}).stop(), /EBUSY/);
});
