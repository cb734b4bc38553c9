/** Pushes from the command line: which modules are loaded, which settings are refused, and how it exits. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pointsOf } from '../../support/otlp.ts';
import { type HttpAnswer, type Receiver, startHttpReceiver } from '../../support/otlp-receiver.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BIN = join(ROOT, 'bin/ftrace-exporter.js');
const CAPTURE = join(ROOT, 'captures/demo.dat');
const directory = mkdtempSync(join(tmpdir(), 'ftx-otlp-cli-'));
const children: ChildProcess[] = [];
const receivers: Receiver<HttpAnswer>[] = [];
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const receiver of receivers) await receiver.close().catch(() => {});
  rmSync(directory, { recursive: true });
});

const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(FTRACE_EXPORTER|OTEL|K8S)_/.test(name)),
);

/** Node flags that write the URL of each loaded module, in all threads, to a file. */
function spy(file: string): string[] {
  const script = `
    import { registerHooks } from 'node:module';
    import { appendFileSync } from 'node:fs';
    registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(file)}, url + '\\n'); return next(url, context); } });`;
  return ['--import', `data:text/javascript,${encodeURIComponent(script)}`];
}

interface Served {
  child: ChildProcess;
  url: string;
  stderr(): string;
  /** Sends SIGTERM. Returns the exit status and how long it took. */
  stop(): Promise<{ status: number | null; tookMs: number }>;
}

async function serve(
  config: object,
  { env = {}, nodeFlags = [] as string[], ready = /serving metrics.*?url=(\S+)/ } = {},
): Promise<Served> {
  const file = join(directory, `${children.length}.yaml`);
  writeFileSync(file, JSON.stringify({ web: { listen_address: '127.0.0.1:0' }, ...config }));
  const args = [...nodeFlags, BIN, 'replay', CAPTURE, '--serve', '--config.file', file];
  const child = spawn(process.execPath, args, {
    env: { ...ENV, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const deadline = performance.now() + 60_000;
  let url: string | undefined;
  while (url === undefined) {
    assert.ok(child.exitCode === null && performance.now() < deadline, stderr);
    await sleep(20);
    url = ready.exec(stderr)?.[1];
  }
  return {
    child,
    url,
    stderr: () => stderr,
    stop: async () => {
      const beganMs = performance.now();
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const [status] = (await ended) as [number | null];
      return { status, tookMs: performance.now() - beganMs };
    },
  };
}

async function receiverOf(): Promise<Receiver<HttpAnswer>> {
  const receiver = await startHttpReceiver();
  receivers.push(receiver);
  return receiver;
}

/** Whether a module is needed only for OTLP. prom-client also loads OpenTelemetry's API, so that does not count. */
const isOfSdk = (url: string) =>
  /\/@opentelemetry\/(?!api\/)|\/@grpc\/|\/src\/export\/otlp\/|\/dist\/export\/otlp\//.test(url);

test('without a backend nothing of OpenTelemetry is loaded, with one it is', async () => {
  const receiver = await receiverOf();
  const loadedBy = async (config: object, env: Record<string, string> = {}) => {
    const file = join(directory, `modules${children.length}`);
    const agent = await serve(config, { env, nodeFlags: spy(file) });
    assert.equal((await fetch(agent.url)).status, 200);
    assert.equal((await agent.stop()).status, 0, agent.stderr());
    const loaded = readFileSync(file, 'utf8').trim().split('\n');
    assert.ok(
      loaded.some((url) => url.includes('/prom-client/')),
      'the spy sees modules',
    );
    assert.ok(
      loaded.some((url) => /capture-thread/.test(url)),
      'of the capture thread, too',
    );
    return loaded.filter(isOfSdk);
  };
  assert.deepEqual(await loadedBy({}), []);
  assert.deepEqual(await loadedBy({ otlp: { endpoint: receiver.url, metrics: false } }), []);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_SDK_DISABLED: 'true' };
  assert.deepEqual(await loadedBy({}, env), []);
  const spans = { kinds: { syscalls: {} } };
  assert.deepEqual(await loadedBy({ spans }), []);
  assert.equal(receiver.received.length, 0);
  const forTraces = await loadedBy({ spans, otlp: { traces_endpoint: `${receiver.url}/v1/traces` } });
  assert.ok(forTraces.some((url) => /export\/otlp\/traces/.test(url)));
  assert.ok(forTraces.some((url) => /\/@opentelemetry\/sdk-node\//.test(url)));
  assert.equal(receiver.received.length, 0, 'a recording has no traces');
  assert.ok((await loadedBy({ otlp: { endpoint: receiver.url } })).length > 20);
  assert.equal(receiver.received.length, 1, 'and pushed at the end');
});

test('what is pushed is what is scraped, configured only by variables', async () => {
  const receiver = await receiverOf();
  const agent = await serve(
    {},
    {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/base`,
        OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b',
        OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
        OTEL_METRIC_EXPORT_INTERVAL: '200',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
        OTEL_SERVICE_NAME: 'named',
        K8S_POD_NAME: 'agent-1',
      },
    },
  );
  const request = await receiver.request(0);
  assert.equal(request.path, '/base/v1/metrics');
  assert.equal(request.headers['api-key'], 'a b');
  const pushed = request.pushed();
  assert.equal(pushed.resource['service.name'], 'named');
  assert.equal(pushed.resource['deployment.environment.name'], 'test');
  assert.equal(pushed.resource['k8s.pod.name'], 'agent-1');
  const [point] = pointsOf(pushed, 'ftrace_sched_runqueue_latency_seconds');
  assert.deepEqual(point.attributes, { source: 'replay', class: 'normal' });
  const exported = /^ftrace_exporter_otlp_exports_total\{.*outcome="exported"\} [1-9]/m;
  // The agent counts a push only after it has read the answer.
  let text = '';
  while (!exported.test(text)) text = await (await fetch(agent.url)).text();
  const count = /^ftrace_sched_runqueue_latency_seconds_count\{source="replay",class="normal"\} (\d+)$/m.exec(
    text,
  )?.[1];
  assert.equal(point.count, Number(count));
  assert.equal((await agent.stop()).status, 0);
});

test('a backend that hangs delays neither scrapes nor the end', async () => {
  const receiver = await receiverOf();
  receiver.answer = 'hang';
  const agent = await serve({ otlp: { endpoint: receiver.url, metric_export_interval: '100ms' } });
  await receiver.request(2);
  for (let i = 0; i < 5; i++) assert.equal((await fetch(agent.url)).status, 200);
  const text = await (await fetch(agent.url)).text();
  assert.match(text, /^ftrace_exporter_otlp_exports_total\{.*outcome="failed"\} [1-9]/m);
  const { status, tookMs } = await agent.stop();
  assert.equal(status, 0, agent.stderr());
  assert.ok(tookMs < 8000, String(tookMs));
  const warnings = agent
    .stderr()
    .split('\n')
    .filter((line) => /a push failed/.test(line));
  assert.equal(warnings.length, 1);
});

test('a wrong config exits with 2, and the error names the place', () => {
  const refusal = (otlp: object, env: Record<string, string> = {}): string => {
    const file = join(directory, 'bad.yaml');
    writeFileSync(file, JSON.stringify({ otlp }));
    const args = [BIN, 'replay', CAPTURE, '--serve', '--config.file', file];
    const { status, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...ENV, ...env },
      timeout: 60_000,
    });
    assert.equal(status, 2, stderr);
    return stderr;
  };
  assert.match(
    refusal({ endpoint: 'collector' }),
    /bad\.yaml:1:\d+: otlp\.endpoint: "collector" must be a URL/,
  );
  const none = join(directory, 'none.pem');
  assert.match(
    refusal({ endpoint: 'https://localhost:4318', certificate: none }),
    /otlp\.certificate: cannot read ".*none\.pem": ENOENT/,
  );
  assert.match(
    refusal({}, { OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift' }),
    /OTEL_EXPORTER_OTLP_PROTOCOL: otlp\.protocol: "thrift" is not one of http\/protobuf, http\/json, grpc/,
  );
});
