/** Views of the page, in a simulated browser: which data they request, and which answers they show. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FakeElement, loadScript } from '../../support/browser.ts';

const { slowPage } = await loadScript<{ slowPage(view: FakeElement, query: URLSearchParams): () => void }>(
  'slow.ts',
);
const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Pending {
  query: URLSearchParams;
  answer(document: object): Promise<void>;
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
