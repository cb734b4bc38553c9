/**
 * What probes report about kernels and recordings that lack some of their events, and about names that match nothing.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { unmatchedNames } from '../../../src/agent/plan/unmatched-names.ts';
import { openReplay } from '../../../src/agent/replay/replay.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import { fakeHost, knownEvents } from '../probes/records.ts';

const silent = () => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };

const recording = (name: string) => new URL(`../../fixtures/partial/${name}.dat`, import.meta.url).pathname;

function replay(name: string) {
  const file = recording(name);
  const config = loadAgentConfig({ file: undefined, env: {}, flags: {}, probes: [] });
  const capture = openReplay(config, file, { log });
  const text = createRenderer({ constantLabels: {} })
    .render([capture.snapshot({})], 'text')
    .toString();
  const sched = text.split('\n').filter((line) => /^ftrace_sched_/.test(line) && !line.includes('_bucket'));
  return { sched, text, probes: capture.status().probes };
}

test('a recording of only sched_switch: switches, waits of preempted tasks, and what is missing', () => {
  const { sched, text, probes } = replay('only-switch');
  assert.deepEqual(sched, [
    'ftrace_sched_runqueue_latency_seconds_sum{class="normal"} 0.00003',
    'ftrace_sched_runqueue_latency_seconds_count{class="normal"} 1',
    'ftrace_sched_runqueue_wait_seconds_total{cpu="0"} 0.00003',
    'ftrace_sched_switches_total{cpu="0",kind="voluntary"} 2',
    'ftrace_sched_switches_total{cpu="0",kind="preempted"} 1',
  ]);
  assert.match(text, /unmatched_total\{probe="sched",reason="no_start"\} 1\n/);
  assert.deepEqual(probes.find(({ name }) => name === 'sched')?.notes, [
    'this recording has no event sched:sched_wakeup: wake-ups of tasks that slept, and the waits that begin with them, are not measured',
    'this recording has no event sched:sched_wakeup_new: wake-ups of new tasks, and their first waits, are not measured',
    'this recording has no event sched:sched_migrate_task: migrations are not counted',
  ]);
  const block = probes.find(({ name }) => name === 'block');
  assert.match(
    block?.reason ?? '',
    /^this recording has none of the probe's events \(block:block_rq_issue, /,
    'not this kernel',
  );
});

test('a recording of sched_switch and sched_wakeup: one wake-up, one wait', () => {
  const { sched } = replay('no-wakeup-new');
  assert.ok(sched.includes('ftrace_sched_runqueue_latency_seconds_sum{class="normal"} 0.000005'));
  assert.ok(sched.includes('ftrace_sched_runqueue_latency_seconds_count{class="normal"} 1'));
  assert.ok(sched.includes('ftrace_sched_switches_total{cpu="0",kind="voluntary"} 1'));
  assert.ok(sched.includes('ftrace_sched_wakeups_total{cpu="0"} 1'));
});

test('every name in the config that matches nothing is named, though others match', () => {
  const kernel = {
    events: () => knownEvents(),
    machine: 'x86_64',
    functions: () => ['vfs_read', 'vfs_write'],
  };
  const notes = (name: string, section: Record<string, unknown>) => {
    const module = probeCatalogue.find((candidate) => candidate.name === name);
    assert.ok(module);
    const options = module.schema(schemaKit).parse({ enabled: true, ...section });
    return unmatchedNames({ module, options }, kernel, fakeHost, 'this kernel');
  };
  assert.deepEqual(notes('events', { count: ['nosys:no_event', 'sched:sched_process_exec', 'sched:*'] }), [
    'count: no event of this kernel matches "nosys:no_event"',
  ]);
  assert.deepEqual(notes('syscalls', { include: ['fsync', 'fsnyc', 'f*'], exclude: ['raed'] }), [
    'include: no syscall of this kernel matches "fsnyc"',
    'exclude: no syscall of this kernel matches "raed"',
  ]);
  for (const probe of ['block', 'blk']) {
    assert.deepEqual(notes(probe, { devices: ['disk3', 'nosuchdisk'] }), [
      'devices: no disk of this kernel matches "nosuchdisk"',
    ]);
    assert.deepEqual(notes(probe, {}), []);
  }
  for (const probe of ['function', 'function_graph']) {
    assert.deepEqual(notes(probe, { functions: ['vfs_*', 'vsf_read'], notrace: ['vfs_x?'] }), [
      'functions: no function of this kernel matches "vsf_read"',
      'notrace: no function of this kernel matches "vfs_x?"',
    ]);
  }
});

test('every key of the config that is a list of names of the kernel is checked', () => {
  const lists = ['count', 'include', 'exclude', 'devices', 'functions', 'notrace'];
  for (const module of probeCatalogue) {
    const options: Record<string, unknown> = { ...module.schema(schemaKit).parse({ enabled: false }) };
    const kernel = { events: () => [], machine: 'x86_64' };
    const checked = (module.names?.(options as never, kernel, fakeHost) ?? []).map(({ key }) => key);
    assert.deepEqual(
      Object.keys(options).filter((key) => lists.includes(key) && Array.isArray(options[key])),
      checked,
      module.name,
    );
  }
});

test('replay does not log that a probe is on if all its names match nothing', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'partial-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const config = join(directory, 'config.yaml');
  writeFileSync(config, 'probes: { events: { count: ["no:such"] } }\n');
  const lines: string[] = [];
  const info = ({ probe, reason }: Record<string, unknown>, message: string) => {
    if (probe === 'events') lines.push(`${message}: ${reason}`);
  };
  openReplay(loadAgentConfig({ file: config, env: {} }), recording('only-switch'), { log: { ...log, info } });
  assert.deepEqual(lines, [
    'probe is off: no event of this recording matches the options of the probe',
    'a name in the config of the probe matches nothing: count: no event of this recording matches "no:such"',
  ]);
});

test('the plan passes the notes on to the status, also those of a probe that is off', () => {
  const store = new MetricStore();
  const written: Record<string, object> = {
    events: { count: ['no:such'] },
    syscalls: { include: ['nonesuch'] },
  };
  const enabled = probeCatalogue
    .filter(({ name }) => name in written)
    .map((module) => ({
      module,
      options: module.schema(schemaKit).parse({ enabled: true, ...written[module.name] }),
    }));
  const plan = planEvents({
    enabled,
    metadata: {
      clock: 'mono',
      machine: 'x86_64',
      kernelRelease: '',
      cpuCount: 1,
      events: () => knownEvents(),
      formatText: () => undefined,
    },
    host: fakeHost,
    onlineCpus: [0],
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
  });
  assert.deepEqual(
    plan.probes.map(({ up, notes }) => ({ up, notes })),
    [
      { up: false, notes: ['include: no syscall of this kernel matches "nonesuch"'] },
      { up: false, notes: ['count: no event of this kernel matches "no:such"'] },
    ],
  );
});
