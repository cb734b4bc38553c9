/** The connection of the page to the agent: what the views are asked to load again, and when. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HistoryIndex } from '../../../src/model/history.ts';
import type { Hello, LiveMessage } from '../../../src/page/api.ts';
import { connect } from '../../../src/page/feed.ts';

const INDEX: HistoryIndex = {
  axis: 'time',
  resolutions: [{ name: 'fine', step_seconds: 1, keep_seconds: 300, columns: 1, from: 0, to: 1000 }],
  metrics: [],
};
const HELLO = { version: '', source: 'live', axis: 'time', started: 1, ready: true, reason: '' } as const;

let source = new EventTarget();
globalThis.EventSource = class extends EventTarget {
  static CLOSED = 2;
  constructor() {
    super();
    source = this;
  }
} as unknown as typeof EventSource;

/** Connects a feed. `send` sends an event of the live stream; `answers` decides whether the agent answers. */
async function open(t: TestContext, index = INDEX) {
  const agent = { answers: true };
  t.mock.method(globalThis, 'fetch', async () => {
    if (!agent.answers) throw new TypeError('network error');
    return { ok: true, json: async () => index };
  });
  const { feed } = await connect(() => {});
  const loads = { count: 0 };
  feed.onReload(() => loads.count++);
  const send = async (type: string, data: Hello | LiveMessage | object = {}) => {
    source.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
    await new Promise((resolve) => setImmediate(resolve));
  };
  const column = (time: number) =>
    send('column', { time, seconds: 1, gap: false, ready: true, reason: '', metrics: {} });
  await send('hello', HELLO);
  return { agent, feed, loads, send, column };
}

test('views load again after a reconnection, and later if the agent did not answer at first', async (t) => {
  const { agent, loads, send, column } = await open(t);
  await column(1_700_000_001_000);
  assert.equal(loads.count, 0);
  await send('error');
  await send('hello', HELLO);
  assert.equal(loads.count, 1);
  agent.answers = false;
  await send('error');
  await send('hello', HELLO);
  await column(1_700_000_009_000);
  assert.equal(loads.count, 1);
  agent.answers = true;
  await column(1_700_000_020_000);
  assert.equal(loads.count, 2);
  await column(1_700_000_030_000);
  assert.equal(loads.count, 2);
});

test('views of a recording load again without a column', async (t) => {
  const { agent, loads, send } = await open(t, { ...INDEX, axis: 'recording' });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  agent.answers = false;
  await send('error');
  await send('hello', HELLO);
  agent.answers = true;
  t.mock.timers.tick(5000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(loads.count, 1);
  t.mock.timers.tick(10_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(loads.count, 1);
});

test('views load again if the clock of the agent was set back', async (t) => {
  const { loads, column, feed } = await open(t);
  await column(1_700_003_600_000);
  await column(1_700_000_001_000);
  await column(1_700_000_002_000);
  assert.equal(loads.count, 1);
  assert.equal(feed.range().to, 1_700_000_002_000);
});
