import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { loadConfig } from '../../../src/config/load.ts';
import {
  type AgentConfig,
  composeSchema,
  jsonSchemaOf,
  type ProbeSection,
} from '../../../src/config/schema.ts';
import type { ProbeSwitch } from '../../../src/config/settings.ts';
import { DEFAULT_BUCKETS } from '../../../src/config/units/buckets.ts';
import { globs, probeSchema } from '../../../src/config/units.ts';
import { UsageError } from '../../../src/model/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-config-'));
after(() => rmSync(directory, { recursive: true }));

const section = (name: string, byDefault: boolean, extra: z.ZodRawShape = {}): ProbeSection => ({
  name,
  byDefault,
  // TypeScript does not know that the schema still has `enabled`, because the type of `extra` is open.
  schema: () =>
    probeSchema(
      { enabled: byDefault, per_cpu: false, max_series: 500, buckets: DEFAULT_BUCKETS },
      extra,
    ) as unknown as ReturnType<ProbeSection['schema']>,
});
const SECTIONS = [
  section('sched', true, { from: z.enum(['wakeup', 'waking']).default('wakeup') }),
  section('syscalls', false, { include: globs('name').default([]) }),
  section('irq', true),
];

interface Given {
  yaml?: string;
  env?: Record<string, string>;
  flags?: Record<string, string>;
  probes?: ProbeSwitch[];
}

function load({ yaml, env = {}, flags = {}, probes = [] }: Given): AgentConfig {
  const file = join(directory, 'c.yaml');
  if (yaml !== undefined) writeFileSync(file, yaml);
  return loadConfig(SECTIONS, { file: yaml === undefined ? undefined : file, env, flags, probes });
}

/** The reported problems, one per line, without the file's directory. */
function problems(input: Given): string[] {
  try {
    load(input);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.replaceAll(`${directory}/`, '').split('\n');
  }
  return [];
}

const on = (config: AgentConfig) => config.probes.map(({ name }) => name);

test('if nothing is given, everything has a default', () => {
  const { probes, ...rest } = load({});
  assert.deepEqual(rest, {
    instance: 'ftrace-exporter',
    reader: 'raw',
    buffer: { totalBytes: 64 * 2 ** 20, subbufferBytes: 'auto', perCpuBytes: undefined },
    drainIntervalMs: 50,
    maxWindowMs: 120_000,
    recordingNs: 150,
    budget: undefined,
    disabled: ['syscalls'],
    tracefsPath: undefined,
    stateDir: '/run/ftrace-exporter',
    web: { listenAddress: ':10743', telemetryPath: '/metrics', configFile: undefined, maxRequests: 40 },
    history: { fineMs: 300_000, coarseMs: 3_600_000 },
    otlp: undefined,
    containers: undefined,
    spans: undefined,
    log: { level: 'info', format: 'logfmt' },
  });
  assert.deepEqual(
    probes.map(({ name }) => name),
    ['sched', 'irq'],
  );
  assert.deepEqual(load({ yaml: '' }), load({}));
  assert.deepEqual(load({ yaml: '# nothing\n' }), load({}));
});

test('maps merge over the defaults; a key without a value keeps its default', () => {
  const yaml =
    'buffer: { subbuffer: 16KiB }\nweb:\nlog:\n  level:\n  format: json\nprobes:\n  sched: { per_cpu: true }\n';
  const config = load({ yaml });
  assert.deepEqual(config.buffer, {
    totalBytes: 64 * 2 ** 20,
    subbufferBytes: 16384,
    perCpuBytes: undefined,
  });
  assert.equal(config.web.listenAddress, ':10743');
  assert.deepEqual(config.log, { level: 'info', format: 'json' });
  const { options } = config.probes[0];
  assert.equal(options.per_cpu, true);
  assert.equal(options.from, 'wakeup');
});

test('a probe named in the file is on unless it says otherwise', () => {
  assert.deepEqual(on(load({ yaml: 'probes:\n  syscalls:\n' })), ['sched', 'syscalls', 'irq']);
  assert.deepEqual(on(load({ yaml: 'probes:\n  syscalls: {}\n' })), ['sched', 'syscalls', 'irq']);
  assert.deepEqual(on(load({ yaml: 'probes: { irq: { enabled: false } }' })), ['sched']);
  assert.deepEqual(on(load({ yaml: 'probes: { syscalls: { enabled: false } }' })), ['sched', 'irq']);
  assert.deepEqual(load({ yaml: 'probes: { irq: { enabled: false } }' }).disabled, ['syscalls', 'irq']);
});

test('flags win over the environment, which wins over the file', () => {
  const yaml = 'log: { level: warn, format: json }\ninstance: from-file\ndrain_interval: 5ms\n';
  const env = {
    FTRACE_EXPORTER_LOG_LEVEL: 'error',
    FTRACE_EXPORTER_INSTANCE: 'from-env',
    FTRACE_EXPORTER_READER: '',
  };
  const config = load({ yaml, env, flags: { 'log.level': 'debug' } });
  assert.deepEqual(config.log, { level: 'debug', format: 'json' });
  assert.equal(config.instance, 'from-env');
  assert.equal(config.drainIntervalMs, 5);
});

test('probes are switched by name: the last one wins, and other options stay', () => {
  const yaml = 'probes: { sched: { enabled: false, from: waking } }';
  const config = load({
    yaml,
    probes: [
      { name: 'sched', on: true },
      { name: 'irq', on: false },
    ],
  });
  assert.deepEqual(on(config), ['sched']);
  assert.equal(config.probes[0].options.from, 'waking');
  const env = { FTRACE_EXPORTER_PROBE: 'syscalls, irq', FTRACE_EXPORTER_NO_PROBE: 'sched' };
  assert.deepEqual(on(load({ env })), ['syscalls', 'irq']);
  assert.deepEqual(on(load({ env, probes: [{ name: 'syscalls', on: false }] })), ['irq']);
});

test('every environment variable has its effect', () => {
  const config = load({
    env: {
      FTRACE_EXPORTER_BUFFER_TOTAL: '1GiB',
      FTRACE_EXPORTER_BUFFER_SUBBUFFER: '65536',
      FTRACE_EXPORTER_BUFFER_PER_CPU: '2MiB',
      FTRACE_EXPORTER_DRAIN_INTERVAL: '1s',
      FTRACE_EXPORTER_MAX_WINDOW: '1h',
      FTRACE_EXPORTER_WEB_LISTEN_ADDRESS: '[::1]:1',
      FTRACE_EXPORTER_WEB_TELEMETRY_PATH: '/m',
      FTRACE_EXPORTER_TRACEFS: '/tracing',
      FTRACE_EXPORTER_STATE_DIR: '/s',
    },
  });
  assert.deepEqual(config.buffer, { totalBytes: 2 ** 30, subbufferBytes: 65536, perCpuBytes: 2 ** 21 });
  assert.equal(config.drainIntervalMs, 1000);
  assert.equal(config.maxWindowMs, 3_600_000);
  assert.deepEqual(config.web, {
    listenAddress: '[::1]:1',
    telemetryPath: '/m',
    configFile: undefined,
    maxRequests: 40,
  });
  assert.equal(config.tracefsPath, '/tracing');
  assert.equal(config.stateDir, '/s');
});

test('the environment can name the file; a flag names another', () => {
  const file = join(directory, 'named.yaml');
  writeFileSync(file, 'instance: named\n');
  assert.equal(loadConfig(SECTIONS, { env: { FTRACE_EXPORTER_CONFIG_FILE: file } }).instance, 'named');
  assert.equal(
    load({ yaml: 'instance: flagged', env: { FTRACE_EXPORTER_CONFIG_FILE: file } }).instance,
    'flagged',
  );
  assert.throws(
    () => loadConfig(SECTIONS, { file: join(directory, 'no.yaml'), env: {} }),
    /no\.yaml: ENOENT/,
  );
});

test('a count is a number, from flags and variables too', () => {
  const web = (sources: Parameters<typeof load>[0]) => load(sources).web;
  assert.equal(web({ flags: { 'web.max_requests': '7' } }).maxRequests, 7);
  assert.equal(web({ env: { FTRACE_EXPORTER_WEB_MAX_REQUESTS: '0' } }).maxRequests, 0);
  assert.equal(web({ flags: { 'web.config_file': 'web.yml' } }).configFile, 'web.yml');
  for (const wrong of ['x', '-1', '1.5', '10001', '1e3']) {
    assert.deepEqual(problems({ flags: { 'web.max_requests': wrong } }), [
      `--web.max-requests: web.max_requests: "${wrong}" must be a whole number from 0 to 10000`,
    ]);
  }
});

test('unknown variables are refused, but not those that Kubernetes sets for a Service', () => {
  assert.deepEqual(problems({ env: { FTRACE_EXPORTER_LOGLEVEL: 'x' } }), [
    'environment: ftrace-exporter has no variable FTRACE_EXPORTER_LOGLEVEL (did you mean "FTRACE_EXPORTER_LOG_LEVEL"?)',
  ]);
  const links = {
    FTRACE_EXPORTER_SERVICE_HOST: '10.0.0.1',
    FTRACE_EXPORTER_SERVICE_PORT: '10743',
    FTRACE_EXPORTER_SERVICE_PORT_METRICS: '10743',
    FTRACE_EXPORTER_PORT: 'tcp://10.0.0.1:10743',
    FTRACE_EXPORTER_PORT_10743_TCP: 'tcp://10.0.0.1:10743',
    FTRACE_EXPORTER_PORT_10743_TCP_ADDR: '10.0.0.1',
    FTRACE_EXPORTER_METRICS_SERVICE_HOST: '10.0.0.1',
  };
  assert.deepEqual(load({ env: links }), load({}));
});

test('problems are reported all at once with line, column, key and what would be right', () => {
  const yaml = `instance: "a/b"
reader: trace-pipe
buffer: { total: 64MB, subbuffer: 5KiB }
drain_interval: 1ms
probes:
  sched: { form: waking }
  irq: false
  sycalls: {}
  syscalls:
    include: fsync
    max_series: 0
    buckets: [1us,
      1ms, 1us]
    enabled: yes
web:
  listen_adress: ":1"
log: { level: wran }
`;
  assert.deepEqual(problems({ yaml }), [
    'c.yaml:1:11: instance: "a/b" must be a name of up to 64 letters, digits, _ . and -',
    'c.yaml:2:9: reader: "trace-pipe" is not one of raw, trace_pipe (did you mean "trace_pipe"?)',
    'c.yaml:3:18: buffer.total: "64MB" is not a size (did you mean "64MiB"?): write a whole number of bytes, KiB, MiB or GiB, as in 64MiB',
    'c.yaml:3:35: buffer.subbuffer: "5KiB" is not a power of two: it can be 4KiB, 8KiB, 16KiB, 32KiB or 64KiB',
    'c.yaml:4:17: drain_interval: 1ms is out of bounds: it must be between 2ms and 1s',
    'c.yaml:6:12: probes.sched.form: unknown key (did you mean "from"?); the keys here are enabled, per_cpu, max_series, buckets, essential, from',
    'c.yaml:7:8: probes.irq: false is not a map of keys: write irq: { enabled: false }',
    'c.yaml:8:3: probes.sycalls: unknown probe "sycalls" (did you mean "syscalls"?); the probes are sched, syscalls, irq',
    'c.yaml:10:14: probes.syscalls.include: "fsync" is not a list of patterns, as in ["vfs_*"]',
    'c.yaml:11:17: probes.syscalls.max_series: 0 is too small: the minimum is 1',
    'c.yaml:13:12: probes.syscalls.buckets[2]: bounds must ascend by at least 1ns, but 0.000001 s follows 0.001 s',
    'c.yaml:14:14: probes.syscalls.enabled: "yes" is not true or false',
    'c.yaml:16:3: web.listen_adress: unknown key (did you mean "listen_address"?); the keys here are listen_address, telemetry_path, config_file, max_requests',
    'c.yaml:17:15: log.level: "wran" is not one of debug, info, warn, error (did you mean "warn"?)',
  ]);
});

test('problems of flags and variables name them, even where the file has the key too', () => {
  const input = {
    yaml: 'web: { listen_address: ":1" }\nlog: { level: info }\n',
    env: { FTRACE_EXPORTER_LOG_LEVEL: 'loud', FTRACE_EXPORTER_NO_PROBE: 'irc' },
    flags: { 'web.listen_address': 'nowhere' },
    probes: [{ name: 'syscals', on: true }],
  };
  assert.deepEqual(problems(input), [
    '--probe: probes.syscals: unknown probe "syscals" (did you mean "syscalls"?); the probes are sched, syscalls, irq',
    '--web.listen-address: web.listen_address: "nowhere" must be host:port, as in :10743, 127.0.0.1:10743 or [::1]:10743',
    'FTRACE_EXPORTER_LOG_LEVEL: log.level: "loud" is not one of debug, info, warn, error',
    'FTRACE_EXPORTER_NO_PROBE: probes.irc: unknown probe "irc" (did you mean "irq"?); the probes are sched, syscalls, irq',
  ]);
});

test('YAML that is not strict is refused with its place', () => {
  const cases: [string, RegExp][] = [
    ['instance: a\ninstance: b\n', /^c\.yaml:2:1: Map keys must be unique/],
    ['a: [1,\nb: 2', /^c\.yaml:2:\d+: /],
    ['- instance\n', /^c\.yaml:1:1: a config must be a map of keys/],
    ['text', /^c\.yaml:1:1: a config must be a map of keys/],
    ['instance: a\n---\ninstance: b\n', /^c\.yaml:\d+:\d+: .*multiple documents/],
    ['instance: !!js/function x\n', /^c\.yaml:1:11: Unresolved tag/],
    ['__proto__: { instance: x }\n', /^c\.yaml:1:1: __proto__: unknown key/],
    ['probes: { constructor: {} }\n', /unknown probe "constructor"/],
    ['probes: []\n', /probes: \[\] is not a map of keys/],
  ];
  for (const [yaml, expected] of cases) assert.match(problems({ yaml })[0] ?? 'good', expected, yaml);
});

test('aliases work, but cannot multiply', () => {
  const shared = 'probes: { sched: &p { max_series: 7 }, irq: *p }\n';
  assert.deepEqual(
    load({ yaml: shared }).probes.map(({ options }) => options.max_series),
    [7, 7],
  );
  const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`);
  assert.match(problems({ yaml: `a0: &a0 [x]\n${levels.join('\n')}\n` })[0] ?? 'good', /alias/);
});

test('a config can be sent to a thread', () => {
  const config = load({ yaml: 'probes: { syscalls: { include: ["fsync"] } }' });
  assert.deepEqual(structuredClone(config), config);
});

test('the JSON Schema has the keys, their defaults as written, and lets sections be empty', () => {
  const schema = jsonSchemaOf(composeSchema(SECTIONS)) as Record<string, never>;
  const { properties } = schema as unknown as { properties: Record<string, Record<string, unknown>> };
  assert.equal(properties.drain_interval.default, '50ms');
  assert.deepEqual(properties.probes.type, ['object', 'null']);
  assert.equal(properties.probes.additionalProperties, false);
});

test('addresses and paths that cannot be served, and values that are not numbers, are refused with their place', () => {
  const refused: [yaml: string, problem: RegExp][] = [
    [
      'web: { telemetry_path: /healthz }',
      /:1:24: web\.telemetry_path: "\/healthz" is used by the agent itself/,
    ],
    ['web: { telemetry_path: /readyz }', /is used by the agent itself/],
    ['web: { telemetry_path: /api/v1/status }', /is used by the agent itself/],
    ['web: { telemetry_path: /api/v1/latency/wakeup }', /is used by the agent itself/],
    ['web: { telemetry_path: /../../etc }', /must not have \. or \.\. as a segment/],
    ['web: { telemetry_path: /a/. }', /must not have \. or \.\. as a segment/],
    ['web: { listen_address: ":99999" }', /:1:24: web\.listen_address: ":99999" has a port above 65535/],
    ['max_window: .nan', /NaN is not a duration/],
    ['max_window: .inf', /Infinity is not a duration/],
    ['max_window: -0', /0 is not a duration/],
    ['max_window: 0x10', /16 is not a duration/],
    ['max_window: 2026-01-01', /"2026-01-01" is not a duration/],
    ['max_window: 9999999999999999h', /is not a whole number of nanoseconds below 2\^53/],
    ['buffer: { total: .nan }', /NaN is not a size/],
    ['buffer: { total: -.inf }', /-Infinity is not a size/],
    ['buffer: { total: 9999999999999999GiB }', /is too large/],
    ['web: { max_requests: .nan }', /must be a whole number/],
    ['web: { max_requests: .inf }', /must be a whole number/],
  ];
  for (const [yaml, problem] of refused) {
    const [first, ...more] = problems({ yaml });
    assert.match(first, problem, yaml);
    assert.deepEqual(more, [], yaml);
    assert.doesNotMatch(first, /\bnull\b/);
  }
  for (const path of ['/.well-known', '/metrics..', '/healthz/metrics', '/api/v1/latency'])
    assert.equal(load({ yaml: `web: { telemetry_path: ${path} }` }).web.telemetryPath, path);
});
