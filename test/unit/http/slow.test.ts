/** `/api/v1/slow` and the page's waterfalls, for traces with the most hostile texts that processes can produce. */
import assert from 'node:assert/strict';
import type { AddressInfo, Server } from 'node:net';
import { after, before, test } from 'node:test';
import { makeTraceStore } from '../../../src/agent/main/trace-store.ts';
import { createApp } from '../../../src/http/pages/app.ts';
import type { HttpDeps } from '../../../src/http/pages/deps.ts';
import type { TraceRecord } from '../../../src/model/span.ts';
import { idleDeps } from '../../support/http-deps.ts';
import { traceOf } from '../../support/otlp-traces.ts';

const HOSTILE = '<script>alert("x")</script>\'&\0\u2028\ud800';
const CONFIG = { kinds: { syscalls: { thresholdNs: 1 }, block: { thresholdNs: 1 } } };

let server: Server;
let base = '';
const traceStore = makeTraceStore(CONFIG);
const deps: HttpDeps = {
  ...idleDeps,
  traces: traceStore,
};
before(async () => {
  server = createApp(deps).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());

const slow = async (query = '') => {
  const answer = await fetch(`${base}/api/v1/slow${query}`);
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
};

function hostile(): TraceRecord {
  const trace = traceOf('block', { durationNs: 90_000_000, children: 2 });
  const [root, ...children] = trace.spans;
  const attributes = { 'thread.name': HOSTILE, [HOSTILE]: [HOSTILE] };
  const spans = [{ ...root, name: HOSTILE, attributes, error: HOSTILE }, ...children];
  return { ...trace, resource: { 'container.id': HOSTILE }, spans, pruned: 3 };
}

test('the last ones and the slowest ones, as trees', async () => {
  const deep = traceOf('syscalls', { children: 2, durationNs: 50_000_000 });
  const [root, first, second] = deep.spans;
  const nested = { ...deep, spans: [root, first, { ...second, parentSpanId: first.spanId }] };
  const bad = hostile();
  traceStore.add([nested, bad, traceOf('syscalls', { durationNs: 1_000_000 })]);
  const { status, type, text } = await slow();
  assert.deepEqual([status, type], [200, 'application/json; charset=utf-8']);
  const { kinds, last, slowest } = JSON.parse(text);
  assert.deepEqual(kinds, ['syscalls', 'block']);
  assert.equal(last.length, 3);
  assert.deepEqual(
    slowest.map((tree: { durationSeconds: number }) => tree.durationSeconds),
    [0.09, 0.05, 0.001],
  );
  assert.deepEqual([slowest[0].name, slowest[0].error, slowest[0].pruned], [HOSTILE, HOSTILE, 3]);
  assert.deepEqual(slowest[1], {
    traceId: deep.traceId,
    kind: 'syscalls',
    pruned: 0,
    resource: {},
    spanId: root.spanId,
    name: 'syscall fsync',
    start: '2025-11-24T16:00:00.000000005Z',
    durationSeconds: 0.05,
    attributes: { 'process.pid': 42 },
    children: [
      {
        spanId: first.spanId,
        name: 'block write',
        start: '2025-11-24T16:00:00.000000005Z',
        durationSeconds: 0.025,
        attributes: { 'system.device': 'sda' },
        children: [
          {
            spanId: second.spanId,
            name: 'block write',
            start: '2025-11-24T16:00:00.025000005Z',
            durationSeconds: 0.025,
            attributes: { 'system.device': 'sda' },
            children: [],
          },
        ],
      },
    ],
  });
  const one = JSON.parse((await slow('?limit=1&kind=syscalls')).text);
  assert.deepEqual([one.last.length, one.slowest.length, one.slowest[0].traceId], [1, 1, deep.traceId]);
});

test('the id of a trace gives its operations, each once, the newest first', async (t) => {
  const store = makeTraceStore(CONFIG);
  const other = createApp({ ...deps, traces: store }).listen(0, '127.0.0.1');
  t.after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}/api/v1/slow`;
  const traceId = 'ab'.repeat(16);
  const older = traceOf('syscalls', { traceId });
  const newer = traceOf('block', { traceId });
  store.add([older]);
  store.add([traceOf('syscalls'), newer]);
  const idsOf = async (query: string): Promise<string[]> => {
    const { kinds, traces, ...more } = JSON.parse(await (await fetch(`${url}?${query}`)).text());
    assert.deepEqual([kinds, more], [['syscalls', 'block'], {}]);
    return traces.map((tree: { traceId: string; spanId: string }) => `${tree.traceId} ${tree.spanId}`);
  };
  const [first, second] = [newer, older].map(({ spans: [root] }) => `${traceId} ${root.spanId}`);
  assert.deepEqual(await idsOf(`trace_id=${traceId}`), [first, second]);
  assert.deepEqual(await idsOf(`trace_id=${traceId.toUpperCase()}&limit=1`), [first]);
  assert.deepEqual(await idsOf(`kind=syscalls&trace_id=${traceId}`), [second]);
  assert.deepEqual(await idsOf(`trace_id=${'0'.repeat(32)}`), []);
});

test('a wrong request is answered with what would be right', async () => {
  const wrong: [query: string, told: RegExp][] = [
    ['?kind=sched', /^kind must be an enabled kind: syscalls, block$/m],
    ['?kind=', /^kind must be/],
    ['?limit=0', /^limit must be a whole number from 1 to 100$/m],
    ['?limit=101', /^limit/],
    ['?limit=1e1', /^limit/],
    ['?limit=1&limit=2', /"limit" occurs twice/],
    ['?n=1', /^unknown parameter "n": use kind, limit, trace_id, format, q, /],
    ['?__proto__=1', /^unknown parameter "__proto__": use kind, limit, trace_id, format, q, /],
    ['?trace_id=', /^trace_id must be 32 hex digits$/m],
    [`?trace_id=${'a'.repeat(31)}`, /^trace_id/],
    [`?trace_id=${'a'.repeat(33)}`, /^trace_id/],
    [`?trace_id=${'a'.repeat(31)}g`, /^trace_id/],
    [`?trace_id=${'a'.repeat(32)}%0A`, /^trace_id/],
    [`?trace_id=${'a'.repeat(32)}&trace_id=${'a'.repeat(32)}`, /"trace_id" occurs twice/],
  ];
  for (const [query, message] of wrong) {
    const { status, type, text } = await slow(query);
    assert.deepEqual([status, type], [400, 'text/plain; charset=utf-8'], query);
    assert.match(text, message);
  }
  assert.equal((await fetch(`${base}/api/v1/slow`, { method: 'POST' })).status, 405);
});

test('the page shows the slowest, hostile texts as text, and no style in elements', async () => {
  const page = await (await fetch(base)).text();
  assert.match(page, /Slowest operations/);
  assert.doesNotMatch(page, /<script(?! (defer|type="module") src="\.\/page\/)|<img|\0| style=/i);
  assert.match(page, /&lt;script&gt;alert\(&quot;x&quot;\)/);
  assert.equal(page.match(/<details class="trace"/g)?.length, 3);
  assert.match(page, /and 3 more/);
  const [{ traceId }] = traceStore.slow(undefined, 1).slowest;
  assert.ok(page.includes(`href="./api/v1/slow?trace_id=${traceId}">${traceId}</a>`));
  assert.match(page, /<rect x="500" y="1" width="500" height="8"\/>/);
});

test('if nothing is traced', async () => {
  const { traces: _, ...without } = deps;
  const other = createApp(without).listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  assert.equal((await fetch(`${url}/api/v1/slow`)).status, 404);
  assert.doesNotMatch(await (await fetch(url)).text(), /Slowest operations/);
  other.close();
});

test('the store is bounded in traces and spans, and forgets what was slow long ago', () => {
  const clock = { ms: 0 };
  const store = makeTraceStore(CONFIG, { traces: 5, spans: 30, keptMs: 1000 }, () => clock.ms);
  const traces = Array.from({ length: 100 }, (_, i) =>
    traceOf('syscalls', { durationNs: 1000 + ((i * 37) % 100), children: 1 }),
  );
  store.add(traces);
  const { last, slowest } = store.slow('syscalls', 100);
  assert.deepEqual(
    last.map(({ traceId }) => traceId),
    traces
      .slice(-5)
      .reverse()
      .map(({ traceId }) => traceId),
  );
  assert.deepEqual(
    slowest.map(({ spans }) => spans[0].durationNs),
    [1099, 1098, 1097, 1096, 1095],
  );
  store.add([traceOf('syscalls', { children: 99, durationNs: 5000 })]);
  assert.equal(store.slow('syscalls', 9).last.length, 1, 'one stays, whatever its size');
  assert.equal(store.slow('syscalls', 9).slowest.length, 1);
  clock.ms = 1001;
  assert.deepEqual(store.slow(undefined, 9).slowest, []);
  assert.equal(store.slow(undefined, 9).last.length, 1);
});
