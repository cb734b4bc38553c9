/** `otlp` in the config, and the OTEL_* variables that set the same. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { parseKeyValues } from '../../../src/config/key-values.ts';
import { fromOpenTelemetry } from '../../../src/config/otel-variables.ts';
import { SETTINGS } from '../../../src/config/settings.ts';
import { UsageError } from '../../../src/model/errors.ts';
import type { OtlpConfig, OtlpTarget } from '../../../src/model/otlp.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-otlp-config-'));
after(() => rmSync(directory, { recursive: true }));

function load(yaml: string, env: Record<string, string> = {}): OtlpConfig | undefined {
  const file = join(directory, 'c.yaml');
  writeFileSync(file, yaml);
  return loadAgentConfig({ file, env }).otlp;
}

function targetOf(yaml: string, env: Record<string, string> = {}): OtlpTarget {
  const otlp = load(yaml, env);
  assert.ok(otlp?.metrics, 'it is off');
  return otlp.metrics.target;
}

function problem(yaml: string, env: Record<string, string> = {}): string {
  try {
    load(yaml, env);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.replaceAll(`${directory}/`, '');
  }
  return '';
}

test('nothing is pushed unless something asks for it', () => {
  const url = 'http://collector:4318';
  const off: [yaml: string, env?: Record<string, string>][] = [
    [''],
    ['otlp:\n'],
    ['otlp: { protocol: grpc, headers: { a: b } }'],
    [`otlp: { endpoint: "${url}", metrics: false }`],
    [`otlp: { endpoint: "${url}" }`, { OTEL_SDK_DISABLED: 'True' }],
    [`otlp: { endpoint: "${url}" }`, { OTEL_METRICS_EXPORTER: 'none' }],
    ['', { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_METRICS_EXPORTER: 'prometheus' }],
    ['', { OTEL_EXPORTER_OTLP_ENDPOINT: '  ' }],
    ['', { OTEL_EXPORTER_OTLP_ENDPOINT: url, FTRACE_EXPORTER_OTLP_METRICS: 'false' }],
    ['', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url, OTEL_SERVICE_NAME: 'x' }],
  ];
  for (const [yaml, env] of off) assert.equal(load(yaml, env), undefined, `${yaml} ${JSON.stringify(env)}`);
  const on: typeof off = [
    [`otlp: { endpoint: "${url}" }`],
    [`otlp: { metrics_endpoint: "${url}" }`],
    ['otlp: { metrics: true }'],
    ['', { OTEL_EXPORTER_OTLP_ENDPOINT: url }],
    ['', { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: 'no' }],
    ['', { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: url }],
    ['', { OTEL_METRICS_EXPORTER: 'otlp,prometheus' }],
    ['', { FTRACE_EXPORTER_OTLP_METRICS: 'true' }],
  ];
  for (const [yaml, env] of on) assert.ok(load(yaml, env), `${yaml} ${JSON.stringify(env)}`);
});

const NO_TLS_FILES = {
  certificateFile: undefined,
  clientKeyFile: undefined,
  clientCertificateFile: undefined,
};

test('defaults are those of the specification', () => {
  assert.deepEqual(load('otlp: { metrics: true }'), {
    metrics: {
      target: {
        protocol: 'http/protobuf',
        url: 'http://localhost:4318/v1/metrics',
        headers: {},
        timeoutMs: 10_000,
        compression: 'none',
        ...NO_TLS_FILES,
      },
      intervalMs: 60_000,
      exportTimeoutMs: 30_000,
      histograms: 'explicit_bucket_histogram',
    },
    traces: undefined,
    resource: {},
  });
  assert.equal(targetOf('otlp: { metrics: true, protocol: grpc }').url, 'http://localhost:4317');
});

test('the URL to push to', () => {
  const urls: [endpoint: string, url: string][] = [
    ['http://c:4318', 'http://c:4318/v1/metrics'],
    ['http://c:4318/', 'http://c:4318/v1/metrics'],
    ['https://c/api/v1/otlp/', 'https://c/api/v1/otlp/v1/metrics'],
    ['http://[::1]:4318?key=1', 'http://[::1]:4318/v1/metrics?key=1'],
  ];
  for (const [endpoint, url] of urls) {
    assert.equal(targetOf(`otlp: { endpoint: "${endpoint}" }`).url, url);
    assert.equal(targetOf('', { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).url, url);
  }
  const own = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://b/x' };
  assert.equal(targetOf('', own).url, 'http://b/x');
  const grpc: [endpoint: string, url: string][] = [
    ['http://c:4317', 'http://c:4317'],
    ['https://c:4317/', 'https://c:4317/'],
    ['c:4317', 'https://c:4317'],
    ['[::1]:4317', 'https://[::1]:4317'],
  ];
  for (const [endpoint, url] of grpc) {
    assert.equal(targetOf(`otlp: { endpoint: "${endpoint}", protocol: grpc }`).url, url);
  }
  assert.equal(targetOf('otlp: { endpoint: "c:4317", protocol: grpc, insecure: true }').url, 'http://c:4317');
});

test('every variable of the specification; that of metrics wins over that of all signals', () => {
  const P = 'OTEL_EXPORTER_OTLP_';
  const all = {
    [`${P}ENDPOINT`]: 'https://a',
    [`${P}PROTOCOL`]: 'HTTP/JSON',
    [`${P}HEADERS`]: 'a=1, b = x%2Cy ,',
    [`${P}TIMEOUT`]: '2500',
    [`${P}COMPRESSION`]: 'gzip',
    [`${P}CERTIFICATE`]: '/ca.pem',
    [`${P}CLIENT_KEY`]: '/key.pem',
    [`${P}CLIENT_CERTIFICATE`]: '/cert.pem',
    OTEL_METRIC_EXPORT_INTERVAL: '15000',
    OTEL_METRIC_EXPORT_TIMEOUT: '5000',
    [`${P}METRICS_DEFAULT_HISTOGRAM_AGGREGATION`]: 'base2_exponential_bucket_histogram',
    [`${P}METRICS_TEMPORALITY_PREFERENCE`]: 'Cumulative',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=ignored,k=v%20w',
    OTEL_SERVICE_NAME: 'named',
  };
  assert.deepEqual(load('', all), {
    metrics: {
      target: {
        protocol: 'http/json',
        url: 'https://a/v1/metrics',
        headers: { a: '1', b: 'x,y' },
        timeoutMs: 2500,
        compression: 'gzip',
        certificateFile: '/ca.pem',
        clientKeyFile: '/key.pem',
        clientCertificateFile: '/cert.pem',
      },
      intervalMs: 15_000,
      exportTimeoutMs: 5000,
      histograms: 'base2_exponential_bucket_histogram',
    },
    traces: undefined,
    resource: { 'service.name': 'named', k: 'v w' },
  });
  const more = {
    ...all,
    [`${P}METRICS_PROTOCOL`]: 'grpc',
    [`${P}METRICS_HEADERS`]: 'c=3',
    [`${P}METRICS_TIMEOUT`]: '1000',
    [`${P}METRICS_COMPRESSION`]: 'none',
    [`${P}METRICS_CERTIFICATE`]: '/other.pem',
  };
  const { protocol, headers, timeoutMs, compression, certificateFile } = targetOf('', more);
  assert.deepEqual(
    { protocol, headers, timeoutMs, compression, certificateFile },
    {
      protocol: 'grpc',
      headers: { c: '3' },
      timeoutMs: 1000,
      compression: 'none',
      certificateFile: '/other.pem',
    },
  );
});

test('FTRACE_EXPORTER_* over OTEL_* over the file', () => {
  const yaml =
    'otlp: { endpoint: "http://file", headers: { a: "1", b: "2" }, timeout: 1s, compression: gzip }';
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel', OTEL_EXPORTER_OTLP_HEADERS: 'c=3' };
  const { url, headers, compression } = targetOf(yaml, env);
  assert.deepEqual([url, headers, compression], ['http://otel/v1/metrics', { c: '3' }, 'gzip']);
  assert.equal(
    targetOf(yaml, { ...env, FTRACE_EXPORTER_OTLP_ENDPOINT: 'http://ours' }).url,
    'http://ours/v1/metrics',
  );
  assert.deepEqual(targetOf(yaml, { FTRACE_EXPORTER_OTLP_HEADERS: 'd=4' }).headers, { d: '4' });
});

test('a push has no more time than the interval between two', () => {
  const otlp = load('otlp: { metrics: true, metric_export_interval: 5s, metric_export_timeout: 20s }');
  assert.equal(otlp?.metrics?.exportTimeoutMs, 5000);
});

test('a wrong value is reported with its place', () => {
  const wrong: [yaml: string, env: Record<string, string>, told: RegExp][] = [
    ['otlp: { endpoint: "c:4318" }', {}, /^c\.yaml:1:19: otlp\.endpoint: "c:4318" must be a URL/],
    ['otlp: { endpoint: "ftp://c" }', {}, /must be a URL/],
    ['otlp: { endpoint: "http://c/#x" }', {}, /must be a URL/],
    ['otlp: { endpoint: "http://" }', {}, /must be a URL/],
    ['otlp: { endpoint: "c", protocol: grpc }', {}, /must be a URL or host:port/],
    ['otlp: { endpoint: "http://c/v1/metrics", protocol: grpc }', {}, /has a path, which gRPC does not use/],
    ['otlp: { endpoint: "http://u:p@c", protocol: grpc }', {}, /has a user/],
    ['otlp: { protocol: http }', {}, /otlp\.protocol: "http" is not one of http\/protobuf, http\/json, grpc/],
    ['otlp: { logs: true }', {}, /^c\.yaml:1:9: otlp\.logs: unknown key/],
    ['otlp: { traces_endpoint: "c:4318" }', {}, /otlp\.traces_endpoint: "c:4318" must be a URL/],
    [
      'otlp: { endpoint: "c:4317", metrics_protocol: grpc }',
      {},
      /otlp\.endpoint: .* must be a URL.*: traces are sent by http\/protobuf/,
    ],
    [
      'otlp: { traces_client_key: /k }',
      {},
      /otlp\.traces_client_key: .*has no effect without traces_client_cert/,
    ],
    ['otlp: { trace_max_queue_size: 0 }', {}, /must be a whole number from 1 to 1000000/],
    [
      '',
      { OTEL_BSP_MAX_QUEUE_SIZE: 'many' },
      /^OTEL_BSP_MAX_QUEUE_SIZE: otlp\.trace_max_queue_size: .*whole number/,
    ],
    ['', { OTEL_BSP_SCHEDULE_DELAY: '1s' }, /^OTEL_BSP_SCHEDULE_DELAY: "1s" is not a whole number of milli/],
    ['', { OTEL_TRACES_EXPORTER: 'zipkin' }, /^OTEL_TRACES_EXPORTER: "zipkin" is not one of otlp, none/],
    ['otlp: { protocl: grpc }', {}, /did you mean "protocol"/],
    ['otlp: { metrics: maybe }', {}, /otlp\.metrics: "maybe" must be true or false/],
    ['otlp: { client_key: /k }', {}, /otlp\.client_key: "\/k" has no effect without client_certificate/],
    ['otlp: { client_certificate: /c }', {}, /has no effect without client_key/],
    ['otlp: { metric_export_interval: 1ms }', {}, /1ms is out of bounds/],
    ['otlp: { headers: [a] }', {}, /otlp\.headers: not pairs of header and value/],
    ['', { OTEL_EXPORTER_OTLP_ENDPOINT: 'c' }, /^OTEL_EXPORTER_OTLP_ENDPOINT: otlp\.endpoint: "c" must be/],
    [
      '',
      { OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: 'zstd' },
      /^OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: .*not one of none, gzip/,
    ],
    ['', { OTEL_EXPORTER_OTLP_TIMEOUT: '10s' }, /^OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is not a whole number/],
    ['', { OTEL_EXPORTER_OTLP_TIMEOUT: '0' }, /^OTEL_EXPORTER_OTLP_TIMEOUT: otlp\.timeout: .*out of bounds/],
    ['', { OTEL_METRICS_EXPORTER: 'console' }, /^OTEL_METRICS_EXPORTER: "console" is not one of otlp/],
    ['', { OTEL_RESOURCE_ATTRIBUTES: 'a' }, /^OTEL_RESOURCE_ATTRIBUTES: .*pair 1 has no "="/],
    [
      '',
      { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta' },
      /^OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "delta" is not supported/,
    ],
    ['', { FTRACE_EXPORTER_OTLP_LOGS: 'true' }, /no variable FTRACE_EXPORTER_OTLP_LOGS/],
  ];
  for (const [yaml, env, message] of wrong) assert.match(problem(yaml, env), message);
});

test('docs/otlp.md has every key and the variables that set it', () => {
  const text = readFileSync(new URL('../../../docs/otlp.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| (.*OTEL_.*) \|$/gm)];
  const keys = SETTINGS.map(({ key }) => key).filter((key) => key.startsWith('otlp.'));
  assert.deepEqual(rows.map(([, key]) => `otlp.${key}`).sort(), keys.sort());
  const documented = new Set<string>();
  for (const [, key, variables] of rows) {
    for (const [, variable, value] of variables.matchAll(/`(OTEL_[A-Z_]+)(?:=(\w+))?`/g)) {
      const isSignal = key === 'metrics' || key === 'traces';
      const settings = fromOpenTelemetry({ [variable]: value ?? (isSignal ? 'otlp' : '1') });
      const matches = settings.filter(([named]) => named === `otlp.${key}`);
      assert.deepEqual(
        matches.map(([, , origin]) => origin),
        [variable],
      );
      assert.equal(settings.length, variable === 'OTEL_SDK_DISABLED' ? 2 : 1);
      documented.add(variable);
    }
  }
  const source = readFileSync(new URL('../../../src/config/otel-variables.ts', import.meta.url), 'utf8');
  const shared = [...source.matchAll(/^ {2}\['((?!OTEL_)[A-Z_]+)', \w/gm)].flatMap(([, name]) =>
    ['', 'METRICS_', 'TRACES_'].map((signal) => `OTEL_EXPORTER_OTLP_${signal}${name}`),
  );
  assert.equal(shared.length, 27);
  for (const variable of shared) assert.ok(documented.has(variable), `${variable} is not documented`);
});

test('no error contains a secret', () => {
  const bad: [yaml: string, env?: Record<string, string>][] = [
    ['otlp: { headers: { "a b": hush7 } }'],
    ['otlp: { headers: { a: "hush7\\nhush7" } }'],
    // gRPC cannot send these headers.
    ['otlp: { headers: { "a!b": hush7 } }'],
    ['otlp: { headers: { a: "hush7é" } }'],
    ['otlp: { headers: { a-bin: hush7 } }'],
    ['otlp: { headers: "a=b,hush7" }'],
    ['otlp: { headers: { a: [hush7] } }'],
    ['', { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=hush7%' }],
    ['', { OTEL_EXPORTER_OTLP_HEADERS: 'api-key=hush7%0Ahush7' }],
  ];
  for (const [yaml, env] of bad) {
    const message = problem(yaml, env);
    assert.match(message, /otlp\.headers: /);
    assert.doesNotMatch(message, /hush7/);
  }
});

test('pairs, as W3C Baggage writes them', () => {
  assert.deepEqual(parseKeyValues(''), {});
  assert.deepEqual(parseKeyValues(' a = 1 ,b=x=y==, a%20b=%E2%9C%93,a=2'), {
    a: '2',
    b: 'x=y==',
    'a b': '✓',
  });
  assert.deepEqual(parseKeyValues('__proto__=1,k='), JSON.parse('{"__proto__":"1","k":""}'));
  for (const text of ['a', '=b', 'a=%', 'a=%ff', 'b=1,,c'])
    assert.throws(() => parseKeyValues(text), /pair \d/);
});

const KIND = 'spans: { kinds: { syscalls: {} } }';

test('traces are pushed if a kind is on and an endpoint exists, unless something says no', () => {
  const url = 'http://c:4318';
  const pushed = (yaml: string, env: Record<string, string> = {}) => {
    const otlp = load(yaml, env);
    return [otlp?.metrics?.target.url, otlp?.traces?.target.url];
  };
  const T = `${url}/v1/traces`;
  const M = `${url}/v1/metrics`;
  assert.deepEqual(pushed(`otlp: { endpoint: "${url}" }`), [M, undefined]);
  assert.deepEqual(pushed(`otlp: { traces_endpoint: "${url}/x", traces: true }`), [undefined, undefined]);
  assert.deepEqual(pushed(`{ otlp: { endpoint: "${url}" }, ${KIND} }`), [M, T]);
  assert.deepEqual(pushed(`{ otlp: { endpoint: "${url}", traces: false }, ${KIND} }`), [M, undefined]);
  assert.deepEqual(pushed(`{ otlp: { endpoint: "${url}", metrics: false }, ${KIND} }`), [undefined, T]);
  assert.deepEqual(pushed(`{ otlp: { traces_endpoint: "${url}/x" }, ${KIND} }`), [undefined, `${url}/x`]);
  assert.deepEqual(pushed(`{ otlp: { metrics_endpoint: "${url}/x" }, ${KIND} }`), [`${url}/x`, undefined]);
  assert.deepEqual(pushed(`{ otlp: { traces: true }, ${KIND} }`), [
    undefined,
    'http://localhost:4318/v1/traces',
  ]);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url };
  assert.deepEqual(pushed(KIND, env), [M, T]);
  assert.deepEqual(pushed(KIND, { ...env, OTEL_TRACES_EXPORTER: 'none' }), [M, undefined]);
  assert.deepEqual(pushed(KIND, { ...env, OTEL_METRICS_EXPORTER: 'none' }), [undefined, T]);
  assert.deepEqual(pushed(KIND, { ...env, OTEL_SDK_DISABLED: 'true' }), [undefined, undefined]);
  assert.deepEqual(pushed(KIND, { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), [
    undefined,
    'http://localhost:4317',
  ]);
});

test('a setting of one signal wins for it, and does not change the other', () => {
  const P = 'OTEL_EXPORTER_OTLP_';
  const otlp = load(KIND, {
    [`${P}ENDPOINT`]: 'https://a',
    [`${P}HEADERS`]: 'a=1',
    [`${P}TIMEOUT`]: '2500',
    [`${P}TRACES_ENDPOINT`]: 'b:4317',
    [`${P}TRACES_PROTOCOL`]: 'grpc',
    [`${P}TRACES_INSECURE`]: 'true',
    [`${P}TRACES_HEADERS`]: 'c=3',
    [`${P}TRACES_TIMEOUT`]: '1000',
    [`${P}TRACES_COMPRESSION`]: 'gzip',
    [`${P}TRACES_CERTIFICATE`]: '/ca.pem',
    [`${P}TRACES_CLIENT_KEY`]: '/key.pem',
    [`${P}TRACES_CLIENT_CERTIFICATE`]: '/cert.pem',
    OTEL_BSP_MAX_QUEUE_SIZE: '4096',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '100',
    OTEL_BSP_SCHEDULE_DELAY: '250',
    OTEL_BSP_EXPORT_TIMEOUT: '7000',
  });
  assert.deepEqual(otlp?.metrics?.target, {
    protocol: 'http/protobuf',
    url: 'https://a/v1/metrics',
    headers: { a: '1' },
    timeoutMs: 2500,
    compression: 'none',
    ...NO_TLS_FILES,
  });
  assert.deepEqual(otlp?.traces, {
    target: {
      protocol: 'grpc',
      url: 'http://b:4317',
      headers: { c: '3' },
      timeoutMs: 1000,
      compression: 'gzip',
      certificateFile: '/ca.pem',
      clientKeyFile: '/key.pem',
      clientCertificateFile: '/cert.pem',
    },
    maxQueueSpans: 4096,
    maxBatchSpans: 100,
    delayMs: 250,
    exportTimeoutMs: 7000,
  });
});
