/** Views of the page, in a simulated browser: which data they request, and which answers they show. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { HistoryAnswer, HistoryMetric, HistoryResolution } from '../../../src/model/history.ts';
import type { LiveMessage } from '../../../src/page/api.ts';
import type { Feed } from '../../../src/page/feed.ts';
import { FakeElement, fakeDocument, loadScript } from '../../support/browser.ts';

type View = { textContent: string };
const { slowPage } = await loadScript<{ slowPage(view: FakeElement, query: URLSearchParams): () => void }>(
  'slow.ts',
);
const { metricPage } = await loadScript<{
  metricPage(view: FakeElement, feed: Feed, name: string, query: URLSearchParams): () => void;
}>('metric.ts');
const { makePanel } = await loadScript<{
  makePanel(feed: Feed, options: object): { element: View; destroy(): void };
}>('panel.ts');
const { makeTops } = await loadScript<{ makeTops(feed: Feed): { element: View; destroy(): void } }>(
  'tops.ts',
);

const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Pending {
  query: URLSearchParams;
  answer(document: object): Promise<void>;
  refuse(status: number, message: string): Promise<void>;
}

/** Collects the requests of the page, which the test answers in the order that it chooses. */
function catchRequests(t: TestContext): Pending[] {
  const pending: Pending[] = [];
  t.mock.method(globalThis, 'fetch', (path: string) => {
    const { promise, resolve } = Promise.withResolvers<object>();
    pending.push({
      query: new URLSearchParams(path.split('?')[1]),
      answer: async (document) => {
        resolve({ ok: true, json: async () => document });
        await settled();
      },
      refuse: async (status, message) => {
        resolve({ ok: false, status, headers: new Headers(), text: async () => message });
        await settled();
      },
    });
    return promise;
  });
  return pending;
}

test('a shared link of a search applies its kind from the first search on', async (t) => {
  const requests = catchRequests(t);
  const view = new FakeElement('div');
  slowPage(view, new URLSearchParams('kind=syscalls&q=fsync'));
  const [select] = view.all('select');
  assert.equal(select.value, 'syscalls');
  assert.equal(requests[0].query.get('kind'), 'syscalls');
  await requests[0].answer({ kinds: ['block', 'syscalls'], traces: [] });
  const options = () => select.all('option').map(({ value }) => value);
  assert.deepEqual(options(), ['', 'block', 'syscalls']);
  assert.equal(select.value, 'syscalls');
  select.value = 'block';
  view.all('form')[0].dispatchEvent(new Event('submit', { cancelable: true }));
  assert.equal(requests[1].query.get('kind'), 'block');
  await requests[1].answer({ kinds: ['block', 'syscalls'], traces: [] });
  assert.deepEqual([options(), select.value], [['', 'block', 'syscalls'], 'block']);
});

test('a shared link with a kind that is not enabled searches all kinds', async (t) => {
  const requests = catchRequests(t);
  const view = new FakeElement('div');
  slowPage(view, new URLSearchParams('kind=block&min=-1'));
  const [select] = view.all('select');
  await requests[0].refuse(400, 'kind must be an enabled kind: syscalls');
  assert.deepEqual([requests[1].query.get('kind'), requests[1].query.get('min')], [null, '-0.001']);
  await requests[1].refuse(400, 'min must not be negative');
  assert.match(view.textContent, /The agent answers with the error 400: min must not be negative/);
  assert.equal(requests.length, 2, 'it does not search again and again');
  view.all('form')[0].dispatchEvent(new Event('submit', { cancelable: true }));
  await requests[2].refuse(400, 'kind must be an enabled kind: syscalls');
  await requests[3].answer({ kinds: ['syscalls'], traces: [] });
  assert.match(view.textContent, /0 operations in memory match/);
  assert.deepEqual(
    select.all('option').map(({ value }) => value),
    ['', 'syscalls'],
  );
  assert.equal(select.value, '');
});

const FINE = { name: 'fine', step_seconds: 1, keep_seconds: 300, columns: 1, from: 0, to: 2000 };
const COARSE = { ...FINE, name: 'coarse', step_seconds: 10, keep_seconds: 3600 };

function metricOf(kind: 'counter' | 'histogram'): HistoryMetric {
  return { name: 'a_seconds', help: '', kind, unit: '', labels: ['device'], series: 1 };
}

/** Makes a feed whose columns and chosen resolution the test controls. */
function makeFeed(kind: 'counter' | 'histogram', axis: Feed['axis'] = 'time') {
  const columns = new Set<(column: LiveMessage) => void>();
  const reloads = new Set<() => void>();
  const metrics = [metricOf(kind)];
  const feed: Feed = {
    index: { axis, resolutions: [FINE, COARSE], metrics },
    axis,
    resolution: FINE,
    range: () => ({ from: 0, to: 60_000 }),
    metric: () => metrics[0],
    onColumn: (listener) => {
      columns.add(listener);
      return () => columns.delete(listener);
    },
    onReload: (listener) => {
      reloads.add(listener);
      return () => reloads.delete(listener);
    },
  };
  return {
    feed,
    choose: (resolution: HistoryResolution) => {
      feed.resolution = resolution;
      for (const listener of reloads) listener();
    },
    column: (time: number) => {
      for (const listener of columns)
        listener({ time, seconds: 1, gap: false, ready: true, reason: '', metrics: {} });
    },
  };
}

/** Makes an answer whose columns each contain `amount`. */
function answerOf(
  kind: 'counter' | 'histogram',
  { name, step_seconds }: HistoryResolution,
  times: number[],
  amount: number,
): HistoryAnswer {
  const each = <T>(value: T) => times.map(() => value);
  const labels = { device: 'sda' };
  return {
    metric: 'a_seconds',
    kind,
    unit: '',
    by: [],
    resolution: name,
    step_seconds,
    times,
    seconds: each(step_seconds),
    not_ready: [],
    series: [
      kind === 'counter'
        ? { labels, value: each(amount) }
        : { labels, count: each(amount), sum: each(1), buckets: each([0, amount]) },
    ],
  };
}

test('a view of a metric loads another resolution at once, and drops the answer of the old one', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const requests = catchRequests(t);
  const view = new FakeElement('div');
  const { feed, choose } = makeFeed('counter');
  const end = metricPage(view, feed, 'a_seconds', new URLSearchParams());
  await requests[0].answer(answerOf('counter', FINE, [1000, 2000], 7));
  assert.match(view.textContent, /7\/s/);
  t.mock.timers.tick(2000);
  assert.equal(requests[1].query.get('since'), '2000');
  choose(COARSE);
  assert.deepEqual([requests[2].query.get('resolution'), requests[2].query.get('since')], ['coarse', null]);
  await requests[2].answer(answerOf('counter', COARSE, [10_000, 20_000], 30));
  await requests[1].answer(answerOf('counter', FINE, [3000], 7));
  assert.match(view.textContent, /3\/s/);
  t.mock.timers.tick(2000);
  assert.deepEqual(
    [requests[3].query.get('resolution'), requests[3].query.get('since')],
    ['coarse', '20000'],
  );
  await requests[3].answer(answerOf('counter', COARSE, [30_000], 50));
  assert.match(view.textContent, /5\/s/);
  // A slow answer is not requested again and again.
  t.mock.timers.tick(2000);
  t.mock.timers.tick(2000);
  assert.equal(requests.length, 5);
  end();
  await requests[4].answer(answerOf('counter', COARSE, [40_000], 90));
  assert.match(view.textContent, /5\/s/);
});

const openPanel = (feed: Feed) =>
  makePanel(feed, { metric: 'a_seconds', title: '', height: 100, noun: 'waits' });

test('a panel shows only columns of the chosen resolution, in whatever order the answers arrive', async (t) => {
  const requests = catchRequests(t);
  const { feed, choose, column } = makeFeed('histogram');
  const { element, destroy } = openPanel(feed);
  await requests[0].answer(answerOf('histogram', FINE, [1000, 2000], 1));
  assert.match(element.textContent, /2 waits in 2 s/);
  choose(COARSE);
  choose(FINE);
  await requests[2].answer(answerOf('histogram', FINE, [1000, 2000, 3000], 1));
  await requests[1].answer(answerOf('histogram', COARSE, [10_000], 10));
  assert.match(element.textContent, /3 waits in 3 s/);
  column(4000);
  assert.match(element.textContent, /3 waits in 4 s/);
  // A column that comes between the choice and the answer belongs to the other resolution.
  choose(COARSE);
  column(5000);
  assert.match(element.textContent, /3 waits in 4 s/);
  await requests[3].answer(answerOf('histogram', COARSE, [10_000], 10));
  column(20_000);
  assert.equal(requests[4].query.get('since'), '10000');
  choose(FINE);
  await requests[5].answer(answerOf('histogram', FINE, [19_000, 20_000], 1));
  column(21_000);
  assert.match(element.textContent, /2 waits in 3 s/);
  await requests[4].answer(answerOf('histogram', COARSE, [20_000], 10));
  assert.match(element.textContent, /2 waits in 3 s/);
  destroy();
});

test('a panel loads again with the next column after the agent refused', async (t) => {
  const requests = catchRequests(t);
  const { feed, choose, column } = makeFeed('histogram');
  const { element, destroy } = openPanel(feed);
  await requests[0].refuse(503, 'busy');
  assert.match(element.textContent, /No history: busy/);
  column(1000);
  column(2000);
  assert.equal(requests.length, 2, 'it loads once at a time');
  await requests[1].answer(answerOf('histogram', FINE, [1000, 2000], 1));
  assert.match(element.textContent, /2 waits in 2 s/);
  for (const resolution of [COARSE, COARSE, FINE]) {
    const at: number = requests.length;
    choose(resolution);
    await requests[at].refuse(429, 'too many requests');
    column(20_000);
    assert.deepEqual(
      [requests[at + 1].query.get('resolution'), requests[at + 1].query.get('since')],
      [resolution.name, null],
    );
    await requests[at + 1].answer(answerOf('histogram', resolution, [10_000, 20_000], 5));
    assert.match(element.textContent, /10 waits in/);
  }
  destroy();
});

test('a recording has its tables even if its page was opened in the background', async (t) => {
  const requests = catchRequests(t);
  fakeDocument.hidden = true;
  t.after(() => {
    fakeDocument.hidden = false;
  });
  const { element } = makeTops(makeFeed('histogram', 'recording').feed);
  assert.equal(requests.length, 1);
  await requests[0].answer(answerOf('histogram', FINE, [2000], 4));
  assert.match(element.textContent, /sda/);
  const { destroy } = makeTops(makeFeed('histogram').feed);
  destroy();
  assert.equal(requests.length, 1, 'a live agent is asked when the page becomes visible');
});
