import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { restartKeys } from '../../../src/config/restart-keys.ts';

function configOf(value: object) {
  const file = join(tmpdir(), `ftx-restart-keys-${process.pid}.yaml`);
  writeFileSync(file, JSON.stringify(value));
  return loadAgentConfig({ file, env: {} });
}
const keys = (before: object, next: object) => restartKeys(configOf(before), configOf(next));

test('keys that a reload cannot change are named as in the file', () => {
  const next = {
    instance: 'other',
    reader: 'trace_pipe',
    buffer: { total: '32MiB' },
    max_window: '1m',
    recording_cost: '1us',
    tracefs: '/t',
    state_dir: '/s',
    history: { fine: '1m' },
    web: { listen_address: ':1', telemetry_path: '/m', config_file: '/w', max_requests: 1 },
    log: { format: 'json' },
  };
  assert.deepEqual(
    keys({}, next),
    'instance reader buffer max_window tracefs recording_cost state_dir web.listen_address web.telemetry_path web.config_file web.max_requests history log.format'.split(
      ' ',
    ),
  );
});

test('everything else can change', () => {
  const next = {
    drain_interval: '50ms',
    probes: { irq: { enabled: false }, sched: { per_container: true }, syscalls: {} },
    metrics: [{ name: 'forks_total', help: 'Forks.', event: 'sched:sched_process_fork' }],
    spans: { kinds: { syscalls: {} } },
    otlp: { endpoint: 'http://localhost:4318' },
    log: { level: 'debug' },
  };
  assert.deepEqual(keys({}, next), []);
  assert.deepEqual(keys(next, {}), []);
  assert.deepEqual(keys(next, next), []);
});

test('what is in use decides whether it can change', () => {
  const per = { sched: { per_container: true } };
  assert.deepEqual(keys({ probes: per }, { probes: per, containers: { max: 5 } }), ['containers']);
  const spans = { top_level_markers: true, kinds: { syscalls: {} } };
  assert.deepEqual(keys({ spans }, { spans: { ...spans, kinds: { block: {} } } }), [
    'spans (because spans.top_level_markers is on)',
  ]);
  assert.deepEqual(
    keys({ reader: 'trace_pipe' }, { reader: 'trace_pipe', probes: { irq: { enabled: false } } }),
    ['probes, metrics or spans (because reader is trace_pipe)'],
  );
});
