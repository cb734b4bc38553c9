/** Texts of control files, as kernels 5.10 to 7.3 print them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  coveredBy,
  type Form,
  formOf,
  globPattern,
  listLines,
  normalForm,
  valuesToWrite,
} from '../../../src/tracefs/journal/control-forms.ts';

test('what a file shows and what is written to it have one normal form', () => {
  const same: [Form, string, string][] = [
    ['value', '1\n', '1'],
    ['choice', '[local] global counter uptime perf mono mono_raw boot tai x86-tsc\n', 'local'],
    ['choice', 'none [round-robin] per-cpu\n', 'round-robin'],
    ['size', '7 (expanded: 1408)\n', '7'],
    ['size', '1410\n', '1410'],
    ['mask', '3\n', '00000003'],
    ['mask', '00000001,00000000\n', '100000000'],
    ['mask', '0\n', '00'],
    ['switch', '1*\n', '1'],
    ['words', 'DEFAULTS OSNOISE_WORKLOAD NO_PANIC_ON_STOP\n', 'NO_PANIC_ON_STOP OSNOISE_WORKLOAD'],
    ['functions', '#### all functions enabled ####\n', ''],
    ['functions', '#### no functions disabled ####\n', ''],
    ['pids', 'no pid\n', ''],
    ['pids', '1\n2\n', '1\n2\n'],
  ];
  for (const [form, text, written] of same)
    assert.equal(normalForm(form, text), normalForm(form, written), text);
  assert.notEqual(normalForm('mask', '10'), normalForm('mask', '1'));
});

test('what is written back is what the kernel accepts for what it had shown', () => {
  assert.deepEqual(valuesToWrite('choice', '[local] global\n'), ['local']);
  assert.deepEqual(valuesToWrite('size', '7 (expanded: 1408)\n'), ['1408']);
  assert.deepEqual(valuesToWrite('size', '1410\n'), ['1410']);
  assert.deepEqual(valuesToWrite('mask', 'ffffffff,ffffffff\n'), ['ffffffff,ffffffff']);
  assert.deepEqual(valuesToWrite('words', 'DEFAULTS A NO_B \n'), ['A', 'NO_B']);
  assert.deepEqual(valuesToWrite('value', '-1\n'), ['-1']);
});

test('only control files have a form', () => {
  const good = ['tracing_on', 'options/stacktrace', 'osnoise/cpus', 'events/sched/sched_switch/enable'];
  good.push('/sys/block/sda/trace/enable', '/sys/block/cciss!c0d0/trace/enable', 'set_ftrace_pid');
  for (const file of good) assert.notEqual(formOf(file), undefined, file);
  const bad = ['', '.', '../x', 'options/../x', 'options/..', 'options/a/b', '/etc/passwd', 'kprobe_events'];
  bad.push('/sys/block/../trace/enable', '/sys/block/a/b/trace/enable', '/sys/block/sda/trace/pid');
  bad.push(
    'trace',
    'set_event',
    'osnoise/../tracing_on',
    './tracing_on',
    'tracing_on\n',
    '/sys/block/./trace/enable',
  );
  bad.push('instances/x/tracing_on', 'events/a/b/trigger', 'events/../enable');
  for (const file of bad) assert.equal(formOf(file), undefined, file);
});

test('a list is ours if our globs match every line of it', () => {
  const text = 'vfs_read\nvfs_write [some_module]\n';
  assert.deepEqual(listLines(text), ['vfs_read', 'vfs_write [some_module]']);
  assert.ok(coveredBy(text, ['vfs_*']));
  assert.ok(coveredBy('#### all functions enabled ####\n', []));
  assert.ok(!coveredBy(text, ['vfs_r*']));
  assert.ok(!coveredBy('vfs_read\nschedule:traceoff:unlimited\n', ['vfs_*', 'sched*e']));
});

test('globs match as the kernel does: whole names, * and ?', () => {
  assert.ok(globPattern('vfs_*read').test('vfs_iter_read'));
  assert.ok(!globPattern('vfs_*read').test('vfs_readv'));
  assert.ok(globPattern('vfs_rea?').test('vfs_read'));
  assert.ok(!globPattern('vfs_rea?').test('vfs_readv'));
  assert.ok(globPattern('a.b$c').test('a.b$c'));
  assert.ok(!globPattern('a.b').test('axb'));
});
