import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createApp } from '../../../src/http/pages/app.ts';
import type { HttpDeps } from '../../../src/http/pages/deps.ts';
import { type Listening, listen } from '../../../src/http/server/listen.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { UsageError } from '../../../src/model/errors.ts';
import type { CaptureStatus } from '../../../src/model/status.ts';
import { parseExposition } from '../../support/exposition.ts';
import { classicSamples, decodeFamilies } from '../../support/protobuf.ts';

const HOSTILE = '<script>alert("x")</script>\'&\0\u2028\ud800';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function captureStatus(): CaptureStatus {
  return {
    source: 'live',
    kernelRelease: '6.18.0',
    machine: 'x86_64',
    clock: 'mono',
    tracefs: '/sys/kernel/tracing',
    instance: 'ftrace-exporter',
    reader: 'raw',
    cpus: 2,
    bufferBytesPerCpu: 1 << 24,
    subbufferBytes: 65536,
    buffers: [
      {
        buffer: 'events',
        instance: 'ftrace-exporter',
        reader: 'raw',
        bufferBytesPerCpu: 1 << 24,
        subbufferBytes: 65536,
      },
      {
        buffer: 'wakeup_rt',
        instance: HOSTILE,
        reader: 'none',
        bufferBytesPerCpu: 1 << 19,
        subbufferBytes: 4096,
      },
    ],
    tickMs: 100,
    probes: [
      { name: 'sched', up: true, reason: '', events: ['sched:sched_switch'] },
      { name: 'block', up: false, reason: HOSTILE, events: [] },
    ],
    kinds: [],
    loss: [
      {
        buffer: 'events',
        cpu: 0,
        read: 900,
        overrun: 100,
        commitOverrun: 0,
        dropped: 0,
        taken: 0,
        cleared: 0,
        paused: 0,
      },
      {
        buffer: HOSTILE,
        cpu: 1,
        read: 1,
        overrun: 0,
        commitOverrun: 0,
        dropped: 0,
        taken: 0,
        cleared: 0,
        paused: 0,
      },
    ],
    warnings: [HOSTILE],
    cost: { cpuSeconds: 1.5, events: 1_000_000 },
  };
}

function deps(): HttpDeps {
  const store = new MetricStore();
  const counter = store.counter({ name: 'ftrace_test_total', help: 'Test.', labels: ['device'] });
  counter.add(counter.slot([HOSTILE]), 7);
  for (let i = 0; i < 50; i++) counter.slot([`sd${i}`]);
  return {
    telemetryPath: '/metrics',
    version: '1.2.3',
    constantLabels: {},
    reload: 'reloads over HTTP are off: start the agent with --web.enable-lifecycle',
    scrape: async () => [store.snapshot()],
    processMetrics: async () => [
      { name: 'process_test', help: '', kind: 'gauge', samples: [{ suffix: '', labels: {}, value: 1 }] },
    ],
    status: async () => captureStatus(),
    latency: async (tracer) =>
      tracer === 'wakeup_rt' ? [{ tracer, latencyNs: 504_000, atMs: 0, trace: HOSTILE }] : undefined,
    ready: () => ({ ready: true, reason: '' }),
    alive: () => ({ alive: true, reason: '' }),
    source: () => 'live',
    log: quiet,
  };
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

function ask(
  base: string,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(base + path, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Dependencies of the app, which all tests share. A test can change them; before the next test they are reset. */
let current = deps();
const live: HttpDeps = {
  telemetryPath: '/metrics',
  version: '1.2.3',
  constantLabels: {},
  get reload() {
    return current.reload;
  },
  scrape: () => current.scrape(),
  processMetrics: () => current.processMetrics(),
  status: () => current.status(),
  latency: (tracer) => current.latency(tracer),
  ready: () => current.ready(),
  alive: () => current.alive(),
  source: () => current.source(),
  log: quiet,
};
let server: Listening;
const get = (path: string, headers?: Record<string, string>, method?: string) =>
  ask(server.url, path, headers, method);
const using = async (change: Partial<HttpDeps>, check: () => Promise<void>) => {
  current = { ...deps(), ...change };
  try {
    await check();
  } finally {
    current = deps();
  }
};

before(async () => {
  server = await listen(createApp(live), '127.0.0.1:0', quiet);
});
after(() => server.close());

test('metrics as text, as OpenMetrics, as protobuf, plain and compressed', async () => {
  const text = await get('/metrics');
  assert.equal(text.status, 200);
  assert.equal(text.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.equal(text.headers.vary, 'Accept, Accept-Encoding');
  assert.equal(text.headers['content-encoding'], undefined);
  const samples = parseExposition(text.body.toString());
  assert.ok(samples.some(({ labels }) => labels.device === HOSTILE.replace('\ud800', '\ufffd')));
  assert.ok(samples.some(({ name }) => name === 'process_test'));

  const openMetrics = await get('/metrics', { accept: 'application/openmetrics-text;version=1.0.0' });
  assert.equal(
    openMetrics.headers['content-type'],
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
  );
  assert.ok(openMetrics.body.toString().endsWith('\n# EOF\n'));

  const mediaType =
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited';
  const protobuf = await get('/metrics', { accept: mediaType, 'accept-encoding': 'gzip' });
  assert.equal(protobuf.headers['content-type'], mediaType.replaceAll(';', '; '));
  assert.equal(protobuf.headers['content-encoding'], 'gzip');
  const families = decodeFamilies(gunzipSync(protobuf.body));
  assert.deepEqual(
    classicSamples(families).map(({ name, labels }) => ({ name, labels })),
    samples.map(({ name, labels }) => ({ name, labels })),
  );

  const compressed = await get('/metrics', { 'accept-encoding': 'gzip' });
  assert.equal(compressed.headers['content-encoding'], 'gzip');
  assert.equal(compressed.headers['content-length'], String(compressed.body.length));
  assert.deepEqual(gunzipSync(compressed.body), text.body);
  const refused = await get('/metrics', { 'accept-encoding': 'gzip;q=0' });
  assert.deepEqual(refused.body, text.body);
});

test('a failed scrape is 503 with the reason', async () => {
  const scrape = () => Promise.reject(new Error('the capture thread is down'));
  await using({ scrape }, async () => {
    const answer = await get('/metrics');
    assert.equal(answer.status, 503);
    assert.match(answer.body.toString(), /the capture thread is down/);
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
  });
});

test('a scrape continues without the metrics of the process', async () => {
  const processMetrics = () => Promise.reject(new Error('no /proc'));
  await using({ processMetrics }, async () => {
    const answer = await get('/metrics');
    assert.equal(answer.status, 200);
    assert.match(answer.body.toString(), /ftrace_test_total/);
  });
});

test('scrapes that come while one is in progress share the next, and the limit turns others away', {
  timeout: 30_000,
}, async () => {
  let scrapes = 0;
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const scrape = async () => {
    scrapes++;
    await gate;
    return [];
  };
  await using({ scrape }, async () => {
    const refusals: Answer[] = [];
    const answers = Array.from({ length: 45 }, async () => {
      const answer = await get('/metrics');
      if (answer.status !== 200) refusals.push(answer);
      return answer;
    });
    // The five requests above the limit are answered while the others hang.
    while (refusals.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(
      refusals.map(({ status, headers }) => [status, headers['retry-after']]),
      Array.from({ length: 5 }, () => [503, '5']),
    );
    assert.equal(scrapes, 1);
    const openMetrics = get('/metrics', { accept: 'application/openmetrics-text' });
    assert.equal((await openMetrics).status, 503);
    letGo();
    const all = await Promise.all(answers);
    assert.equal(all.filter(({ status }) => status === 200).length, 40);
    assert.equal(scrapes, 2);
  });
});

test('a scrape that fails fails for all that share it, and the next one starts again', async () => {
  let scrapes = 0;
  const scrape = () => (++scrapes === 1 ? Promise.reject(new Error('down')) : Promise.resolve([]));
  await using({ scrape }, async () => {
    const first = get('/metrics');
    const statuses = (await Promise.all([first, get('/metrics')])).map(({ status }) => status);
    assert.equal(statuses[0], 503);
    assert.equal((await get('/metrics')).status, 200);
  });
});

test('HEAD has the headers of GET and no body', async () => {
  for (const path of ['/', '/metrics', '/healthz', '/readyz', '/api/v1/status']) {
    const [head, whole] = [await get(path, {}, 'HEAD'), await get(path)];
    assert.equal(head.status, 200, path);
    assert.equal(head.body.length, 0);
    assert.equal(head.headers['content-length'], String(whole.body.length), path);
    assert.equal(head.headers['content-type'], whole.headers['content-type']);
  }
});

test('other methods are 405, other paths 404, in plain text', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    for (const path of ['/', '/metrics', '/api/v1/status']) {
      const answer = await get(path, {}, method);
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.equal(answer.headers.allow, 'GET, HEAD');
    }
  }
  for (const path of ['/nope', '/metrics/', '/METRICS', '/%ff', '/%3Cscript%3E', '/api/v1', '//']) {
    const answer = await get(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
    assert.doesNotMatch(answer.body.toString(), /script/);
  }
});

test('a query is no other path', async () => {
  assert.equal((await get('/metrics?x[]=1&y=%ff')).status, 200);
});

test('alive is not ready', async () => {
  const ready = () => ({ ready: false, reason: 'the capture is being set up' });
  await using({ ready }, async () => {
    const [health, readiness] = [await get('/healthz'), await get('/readyz')];
    assert.deepEqual([health.status, health.body.toString()], [200, 'ok\n']);
    assert.deepEqual(
      [readiness.status, readiness.body.toString()],
      [503, 'not ready: the capture is being set up\n'],
    );
  });
  assert.equal((await get('/readyz')).status, 200);
});

test('health fails, with the reason, when the capture thread hangs', async () => {
  const alive = () => ({ alive: false, reason: 'the capture thread has not read the buffers for 31 s' });
  await using({ alive }, async () => {
    const { status, body } = await get('/healthz');
    assert.deepEqual(
      [status, body.toString()],
      [503, 'not alive: the capture thread has not read the buffers for 31 s\n'],
    );
  });
  assert.equal((await get('/healthz')).status, 200);
});

test('every answer tells a browser what it may do with it', async () => {
  for (const path of ['/', '/metrics', '/healthz', '/api/v1/status', '/nope']) {
    const { headers } = await get(path);
    assert.match(
      String(headers['content-security-policy']),
      /^default-src 'none'; script-src 'self'; style-src 'self' 'sha256-/,
    );
    assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|\*|https?:/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-powered-by'], undefined);
  }
});

test('the page shows the state, and hostile names as text', async () => {
  const answer = await get('/');
  assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
  const page = new TextDecoder('utf-8', { fatal: true }).decode(answer.body);
  assert.doesNotMatch(page, /<script(?! (defer|type="module") src="\.\/page\/)|\son\w+=|\0/i);
  assert.equal(
    page.match(/&lt;script&gt;alert\(&quot;x&quot;\)&lt;\/script&gt;&#39;&amp;\ufffd/g)?.length,
    5,
  );
  for (const part of [
    '1.2.3',
    '6.18.0',
    'sched:sched_switch',
    '>Ready<',
    '100 events lost',
    '10 %',
    '1,500 ns',
  ]) {
    assert.ok(page.includes(part), part);
  }
  assert.doesNotMatch(page, /Demonstration/);
});

test('the style sheet is the one that the policy allows', async () => {
  const { body, headers } = await get('/');
  const style = /<style>([\s\S]*?)<\/style>/.exec(body.toString())?.[1] ?? '';
  const digest = await crypto.subtle.digest('SHA-256', Buffer.from(style));
  assert.ok(
    String(headers['content-security-policy']).includes(`'sha256-${Buffer.from(digest).toString('base64')}'`),
  );
  assert.doesNotMatch(body.toString(), /\sstyle=/);
});

test('a replay is marked clearly as one', async () => {
  await using({ source: () => 'replay' }, async () => {
    assert.match((await get('/')).body.toString(), /Demonstration: a bundled recording, not this machine/);
    assert.equal(JSON.parse((await get('/api/v1/status')).body.toString()).source, 'replay');
  });
});

test('the status as JSON', async () => {
  const answer = await get('/api/v1/status');
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  assert.deepEqual(JSON.parse(answer.body.toString()), {
    version: '1.2.3',
    source: 'live',
    ready: true,
    reason: '',
    capture: captureStatus(),
  });
});

test("a latency tracer's worst records as JSON", async () => {
  await using({}, async () => {
    const { status, headers, body } = await get('/api/v1/latency/wakeup_rt');
    assert.equal(status, 200);
    assert.match(String(headers['content-type']), /^application\/json/);
    assert.deepEqual(JSON.parse(body.toString()), {
      tracer: 'wakeup_rt',
      records: [{ latency_seconds: 0.000504, at: '1970-01-01T00:00:00.000Z', trace: HOSTILE }],
    });
    for (const other of [
      '/api/v1/latency/irqsoff',
      '/api/v1/latency/',
      '/api/v1/latency/a/b',
      '/api/v1/latency/%ff',
    ])
      assert.ok([400, 404].includes((await get(other)).status), other);
  });
  const down = { latency: () => Promise.reject(new Error('the capture is being set up')) };
  await using(down, async () => {
    const { status, body } = await get('/api/v1/latency/wakeup_rt');
    assert.equal(status, 503);
    assert.match(body.toString(), /being set up/);
  });
});

test('a capture that is down still gives a page and a status', async () => {
  const change: Partial<HttpDeps> = {
    status: () => Promise.reject(new Error('no answer within 5 s')),
    ready: () => ({ ready: false, reason: 'the capture thread died: <b>' }),
  };
  await using(change, async () => {
    const page = await get('/');
    assert.equal(page.status, 200);
    assert.match(page.body.toString(), /Not ready[\s\S]*the capture thread died: &lt;b&gt;/);
    const status = await get('/api/v1/status');
    assert.equal(status.status, 503);
    assert.deepEqual(JSON.parse(status.body.toString()), {
      version: '1.2.3',
      source: 'live',
      ready: false,
      reason: 'the capture thread died: <b>',
      capture: null,
    });
  });
  await using({ status: change.status as HttpDeps['status'] }, async () => {
    assert.match(
      (await get('/')).body.toString(),
      /The capture thread does not answer[\s\S]*no answer within 5 s/,
    );
  });
});

test('a failure inside is 500 without its details', async () => {
  const ready = () => {
    throw new Error('secret at 0xffffffff81000000');
  };
  await using({ ready }, async () => {
    for (const path of ['/', '/readyz']) {
      const answer = await get(path);
      assert.equal(answer.status, 500);
      assert.doesNotMatch(answer.body.toString(), /secret|0xff/);
    }
  });
});

test('the telemetry path can be another one, if it can be served', async () => {
  const other = await listen(
    createApp({ ...deps(), telemetryPath: '/node/ftrace.prom' }),
    '127.0.0.1:0',
    quiet,
  );
  try {
    assert.equal((await ask(other.url, '/node/ftrace.prom')).status, 200);
    assert.equal((await ask(other.url, '/metrics')).status, 404);
    assert.match((await ask(other.url, '/')).body.toString(), /href="\.\/node\/ftrace\.prom"/);
  } finally {
    await other.close();
  }
  for (const telemetryPath of ['metrics', '', '/', '/healthz', '/a b', '/:id', '/*x', '/m/', '/a?b', '/"']) {
    assert.throws(() => createApp({ ...deps(), telemetryPath }), UsageError, telemetryPath);
  }
});

test('POST and PUT of /-/reload reload the config if that is allowed', async () => {
  const ask = async (method: string) => {
    const response = await fetch(`${server.url}/-/reload`, { method });
    return [response.status, await response.text(), response.headers.get('allow')];
  };
  assert.deepEqual(await ask('POST'), [403, `${current.reload}\n`, null]);
  let reloads = 0;
  current = { ...deps(), reload: async () => (reloads++ === 0 ? '' : 'buffr: unknown key') };
  assert.deepEqual(await ask('POST'), [200, 'config reloaded\n', null]);
  assert.deepEqual(await ask('PUT'), [500, 'config not reloaded: buffr: unknown key\n', null]);
  assert.deepEqual(await ask('GET'), [405, 'method not allowed: only POST and PUT\n', 'POST, PUT']);
  assert.equal(reloads, 2);
  current = deps();
});
