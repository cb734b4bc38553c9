/** `/api/v1/history` and `/api/v1/live`: answers, refusals, and clients that do not read. */
import assert from 'node:assert/strict';
import { type ClientRequest, get as httpGet } from 'node:http';
import { after, before, test } from 'node:test';
import { makeHistory } from '../../../src/history/history.ts';
import { createApp } from '../../../src/http/pages/app.ts';
import type { HttpDeps } from '../../../src/http/pages/deps.ts';
import { type Listening, listen } from '../../../src/http/server/listen.ts';
import { createStreams, MAX_STREAMS } from '../../../src/http/server/streams.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { idleDeps, quiet } from '../../support/http-deps.ts';
import { countedRefusals } from '../../support/refusals.ts';

const HOSTILE = '<script>alert("x")</script>\n\ndata: {}';
const history = makeHistory({ fineMs: 300_000, coarseMs: 3_600_000 });
const store = new MetricStore();
const bytes = store.counter({ name: 'ftrace_test_bytes_total', help: 'Test.', labels: ['device'] });
const { refusals, totals } = countedRefusals(quiet);
const clock = { ms: 0 };
const streams = createStreams(refusals, { now: () => clock.ms });
const deps: HttpDeps = {
  ...idleDeps,
  history: { data: history, onColumn: history.onColumn },
};
let server: Listening;
let second = 0;
/** Adds a column to the history. */
const step = (amount = 1) => {
  bytes.add(bytes.slot([HOSTILE]), amount);
  history.take([store.snapshot()], ++second * 1000, true);
};
before(async () => {
  step();
  step(4096);
  server = await listen(createApp(deps, { streams }), '127.0.0.1:0', quiet);
});
after(async () => {
  streams.close();
  await server.close();
});

const ask = async (query: string) => {
  const answer = await fetch(`${server.url}/api/v1/history${query}`);
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
};

test('the index lists metrics and resolutions; a query answers in JSON', async () => {
  const index = await ask('');
  assert.equal(index.type, 'application/json; charset=utf-8');
  const { axis, resolutions, metrics } = JSON.parse(index.text);
  assert.equal(axis, 'time');
  assert.deepEqual(resolutions[0], {
    name: 'fine',
    step_seconds: 1,
    keep_seconds: 300,
    columns: 1,
    from: 1000,
    to: 2000,
  });
  assert.deepEqual(
    metrics.find(({ name }: { name: string }) => name === 'ftrace_test_bytes_total'),
    {
      name: 'ftrace_test_bytes_total',
      help: 'Test.',
      kind: 'counter',
      unit: '',
      labels: ['device'],
      series: 1,
    },
  );
  const answer = await ask('?metric=ftrace_test_bytes_total&by=device');
  assert.deepEqual(JSON.parse(answer.text), {
    metric: 'ftrace_test_bytes_total',
    kind: 'counter',
    unit: '',
    by: ['device'],
    resolution: 'fine',
    step_seconds: 1,
    times: [2000],
    seconds: [1],
    not_ready: [],
    series: [{ labels: { device: HOSTILE }, value: [4096] }],
  });
  const where = `?metric=ftrace_test_bytes_total&where=${encodeURIComponent(`device:${HOSTILE}`)}&since=2000`;
  assert.deepEqual(JSON.parse((await ask(where)).text).times, []);
});

test('a wrong query is 400 and says what would be right', async () => {
  const metric = 'metric=ftrace_test_bytes_total';
  const wrong: [query: string, reason: RegExp][] = [
    ['?metric=nope', /^metric: must be one of the counters and histograms/],
    ['?by=device', /^metric: must be the name/],
    ['?metrics=a', /^unknown parameter "metrics"/],
    [`?${metric}&${metric}`, /"metric" occurs twice/],
    [`?${metric}&by=cpu`, /^by: ftrace_test_bytes_total has the labels device/],
    [`?${metric}&where=cpu:1`, /^where: must be label:value/],
    [`?${metric}&where=device`, /^where/],
    [`?${metric}&resolution=finest`, /^resolution must be fine or coarse/],
    [`?${metric}&since=now`, /^since, until/],
    [`?${metric}&limit=0`, /^limit/],
    [`?${metric}&limit=x`, /^limit/],
    [`?${metric}&fold=1`, /^fold/],
  ];
  for (const [query, reason] of wrong) {
    const { status, text } = await ask(query);
    assert.equal(status, 400, query);
    assert.match(text, reason);
  }
});

test('without a history both are 404 and say why', async (t) => {
  const { history: _, ...without } = deps;
  const other = await listen(createApp(without), '127.0.0.1:0', quiet);
  t.after(() => other.close());
  for (const path of ['history', 'live']) {
    const answer = await fetch(`${other.url}/api/v1/${path}`);
    assert.equal(answer.status, 404);
    assert.match(
      await answer.text(),
      /history\.enabled is false .*, or the times of the recording are unknown/,
    );
  }
});

/** Opens a stream. Reads it only if `onText` is given. Returns the status. */
function open(requests: ClientRequest[], onText?: (text: string) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpGet(`${server.url}/api/v1/live`, { agent: false }, (response) => {
      if (onText !== undefined) response.setEncoding('utf8').on('data', onText);
      else response.pause();
      response.on('error', () => {});
      resolve(response.statusCode ?? 0);
    });
    request.on('error', reject);
    requests.push(request);
  });
}

test('a stream begins with a hello and carries each column; hostile names stay within their string', async (t) => {
  const requests: ClientRequest[] = [];
  t.after(() => requests.forEach((request) => void request.destroy()));
  let text = '';
  const lines = (count: number) =>
    new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (text.split('\n\n').length <= count) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
  assert.equal(
    await open(requests, (more) => {
      text += more;
    }),
    200,
  );
  await lines(2);
  step(7);
  history.miss(++second * 1000);
  await lines(4);
  const messages = text.split('\n\n').filter((message) => message.startsWith('event: '));
  assert.deepEqual(
    messages.map((message) => /^event: (\w+)\n/.exec(message)?.[1]),
    ['hello', 'column', 'column'],
  );
  const [hello, column, gap] = messages.map((message) => JSON.parse(message.slice(message.indexOf('{'))));
  assert.equal(hello.version, '1.2.3');
  assert.deepEqual(column.metrics.ftrace_test_bytes_total, { value: 7 });
  assert.deepEqual([column.gap, gap.gap, gap.metrics], [false, true, {}]);
});

test('a stream that begins while the agent stops is refused for this reason, and not counted', async (t) => {
  const counted = countedRefusals(quiet);
  const closed = createStreams(counted.refusals);
  const stopping = await listen(createApp(deps, { streams: closed }), '127.0.0.1:0', quiet);
  t.after(() => stopping.close());
  closed.close();
  const answer = await fetch(`${stopping.url}/api/v1/live`);
  assert.equal(answer.status, 503);
  assert.equal(await answer.text(), 'cannot open a stream: the agent is stopping\n');
  assert.deepEqual(counted.totals, {});
});

test('500 clients that never read hold at most 50 streams, cost no memory each second, and are cut off', {
  timeout: 60_000,
}, async (t) => {
  const requests: ClientRequest[] = [];
  t.after(() => requests.forEach((request) => void request.destroy()));
  while (streams.size() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const statuses = await Promise.all(Array.from({ length: 500 }, () => open(requests)));
  assert.equal(statuses.filter((status) => status === 200).length, MAX_STREAMS);
  assert.equal(statuses.filter((status) => status === 503).length, 450);
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  // The clients do not read, so the messages fill the sockets. After that, no message may be added.
  let made = 0;
  const message = `: ${'x'.repeat(1 << 20)}\n\n`;
  for (let i = 0; i < 20; i++) {
    streams.send(() => {
      made++;
      return message;
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(made, 20);
  assert.equal(streams.size(), MAX_STREAMS);
  clock.ms += 31_000;
  streams.send(() => message);
  while (streams.size() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(totals, { streams: 450, slow_reader: MAX_STREAMS });
});
