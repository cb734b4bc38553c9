import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanup } from '../../../src/tracefs/cleanup.ts';
import { enableEvents, formatText, listEvents } from '../../../src/tracefs/events.ts';
import { kernelFeatures } from '../../../src/tracefs/features.ts';
import { createInstance } from '../../../src/tracefs/instance.ts';
import { fakeTracefs } from './fake.ts';

const HOSTILE = [
  '',
  'sched_switch',
  'sched:',
  ':sched_switch',
  'a:b:c',
  '../../x:y',
  'a:../b',
  '..:..',
  'a:..',
  '.:x',
  'a:b\n',
  'a:b c',
  '!a:b',
  'a:*',
  'a:b\0',
];

test('lists events from available_events, else from the directories', (t) => {
  const listed = fakeTracefs(t, { available_events: 'sched:sched_switch\nirq:softirq_raise\n' });
  assert.deepEqual(listEvents(listed), ['sched:sched_switch', 'irq:softirq_raise']);
  const walked = fakeTracefs(t, {
    'events/sched/sched_switch/enable': '0\n',
    'events/ftrace/print/format': 'name: print',
    'events/header_page': '',
    'events/sched/enable': '0\n',
  });
  assert.deepEqual(listEvents(walked), ['sched:sched_switch']);
  assert.throws(() => listEvents(fakeTracefs(t, {})), { errno: 'ENOENT' });
});

test('a format is a text or undefined, whatever the name', (t) => {
  const root = fakeTracefs(t, {
    'events/sched/sched_switch/format': 'name: sched_switch\n',
    'events/ftrace/print/format': 'name: print\n',
    'x/y/format': 'outside',
  });
  assert.equal(formatText(root, 'sched:sched_switch'), 'name: sched_switch\n');
  assert.equal(formatText(root, 'ftrace:print'), 'name: print\n');
  for (const event of [...HOSTILE, 'sched:nothing', '../x:y'])
    assert.equal(formatText(root, event), undefined, JSON.stringify(event));
});

test('enabling writes 1 to the switch of each event, and refuses invalid names', (t) => {
  const dir = fakeTracefs(t, { 'events/a/b/enable': '0\n', 'events/a/c/enable': '0\n' });
  enableEvents(dir, ['a:b']);
  assert.equal(readFileSync(join(dir, 'events/a/b/enable'), 'utf8'), '1\n');
  assert.equal(readFileSync(join(dir, 'events/a/c/enable'), 'utf8'), '0\n');
  for (const event of HOSTILE)
    assert.throws(() => enableEvents(dir, [event]), { errno: 'EINVAL', value: event }, JSON.stringify(event));
  assert.throws(() => enableEvents(dir, ['a:d']), { errno: 'ENOENT', message: /events\/a\/d\/enable/ });
});

test('names of instances that could be paths or options are refused before anything is touched', (t) => {
  const root = fakeTracefs(t, {});
  for (const name of ['', '.', '..', '../x', 'a/b', '-x', '.x', 'a b', 'a\n', 'ä', 'x'.repeat(101)]) {
    assert.throws(() => createInstance(root, name), { errno: 'EINVAL', value: name }, JSON.stringify(name));
  }
  assert.ok(!existsSync(join(root, 'x')));
  // A valid name is accepted. It then fails only because a new directory in this fake tracefs has no free_buffer.
  assert.throws(() => createInstance(root, 'ok'), { errno: 'EBUSY', message: /with --instance/ });
});

test('cleanup takes the named instances and no others that begin with the same letters', (t) => {
  const root = fakeTracefs(t, {});
  for (const name of [
    'ftrace-exporter',
    'ftrace-exporter-record',
    'ftrace-exporter-mine',
    'ftrace-exporters',
  ])
    mkdirSync(join(root, 'instances', name), { recursive: true });
  const names = ['ftrace-exporter', 'ftrace-exporter-record'];
  assert.partialDeepStrictEqual(cleanup(root, [...names, 'absent']), { removed: names, busy: [] });
  assert.partialDeepStrictEqual(cleanup(root, ['ftrace-export']), { removed: [], busy: [] });
  assert.ok(existsSync(join(root, 'instances/ftrace-exporter-mine')));
  assert.ok(existsSync(join(root, 'instances/ftrace-exporters')));
});

test('features are read from the files of a kernel, and what is absent is not supported', (t) => {
  const root = fakeTracefs(t, {
    available_tracers: 'timerlat function nop\n',
    buffer_subbuf_size_kb: '4\n',
    'options/copy_trace_marker': '0\n',
    set_ftrace_filter: '',
    realtime: '1\n',
    clocksource: 'hpet\n',
    on: '1\n',
    off: '0\n',
  });
  const files = {
    realtimeFile: join(root, 'realtime'),
    clocksourceFile: join(root, 'clocksource'),
    ftraceEnabledFile: join(root, 'on'),
  };
  const rich = kernelFeatures(root, files);
  assert.deepEqual(rich.tracers, ['timerlat', 'function', 'nop']);
  assert.deepEqual(rich.clocks, ['local', 'global', 'mono']);
  assert.deepEqual(rich.functionTracing, { ok: true, reason: '' });
  assert.ok(rich.realtime && rich.subbufferSizes && rich.copyTraceMarker);
  assert.match(rich.warnings.join(), /hpet/);

  const off = kernelFeatures(root, { ...files, ftraceEnabledFile: join(root, 'off') });
  assert.match(off.functionTracing.reason, /ftrace_enabled/);
  const bare = fakeTracefs(t, { clocksource: 'tsc\n' });
  const poor = kernelFeatures(bare, { ...files, clocksourceFile: join(bare, 'clocksource') });
  assert.match(poor.functionTracing.reason, /CONFIG_FUNCTION_TRACER/);
  assert.ok(!poor.subbufferSizes && !poor.copyTraceMarker);
  assert.deepEqual(poor.warnings, []);
});
