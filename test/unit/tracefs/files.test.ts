import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freshEntries, readText, refusal, tryReadText, writeControl } from '../../../src/tracefs/files.ts';
import { fakeTracefs } from './fake.ts';

const OLD = `[   12.500000] event filter parse error: error: Field not found
  Command: foo == 1
           ^
`;
const NEW = `[   13.250000] event filter parse error: error: Invalid operator
  Command: pid ~~ 1
               ^
`;

test('only what a write added to error_log is shown, on one line', () => {
  assert.equal(freshEntries(OLD, OLD), '');
  const shown = 'event filter parse error: error: Invalid operator Command: pid ~~ 1';
  assert.equal(freshEntries(OLD, OLD + NEW), shown);
  assert.equal(freshEntries('', NEW), shown);
  // The kernel keeps only the last eight entries, so the old ones can be missing.
  assert.equal(freshEntries(OLD, NEW), shown);
  // The same mistake for the second time has another timestamp.
  assert.equal(freshEntries(NEW, NEW + NEW.replace('13.25', '14.75')), shown);
  assert.equal(freshEntries('', ''), '');
});

test('writing truncates nothing and ends the value with a newline', (t) => {
  const root = fakeTracefs(t, { set_event: 'sched:sched_switch\n' });
  writeControl(root, 'set_event', 'a:b');
  assert.equal(readFileSync(join(root, 'set_event'), 'utf8'), 'a:b\nd:sched_switch\n');
});

test('never creates a file', (t) => {
  const root = fakeTracefs(t, {});
  assert.throws(() => writeControl(root, 'tracing_on', '1'), {
    name: 'KernelError',
    errno: 'ENOENT',
    value: '1',
    file: join(root, 'tracing_on'),
  });
  assert.equal(tryReadText(join(root, 'tracing_on')), undefined);
});

test('an error names file, value, errno and what to do', (t) => {
  const root = fakeTracefs(t, { 'per_cpu/cpu0/stats': '' });
  assert.throws(
    () => writeControl(root, 'per_cpu/cpu0', '7', 'take another'),
    /^KernelError: cannot write "7" to .*\/per_cpu\/cpu0: EISDIR — take another$/,
  );
  assert.throws(() => readText(join(root, 'nothing')), /^KernelError: cannot read .*nothing: ENOENT — /);
});

test('every errno the kernel uses here comes with a remedy', () => {
  for (const code of ['EPERM', 'EACCES', 'EROFS', 'EBUSY', 'EINVAL', 'ENOENT', 'ENODEV', 'ENOMEM']) {
    const error = refusal(Object.assign(new Error(), { code }), { file: 'f', action: 'write', value: 'v' });
    assert.match(error.message, new RegExp(`^cannot write "v" to f: ${code} — .{10}`));
  }
});

test('other errors are thrown on as they are', () => {
  const bug = new TypeError('a bug');
  assert.throws(() => refusal(bug, { file: 'f', action: 'write' }), bug);
});

test('a read-only file says which mount must be writable: that of tracefs, or that of the disks', () => {
  const readOnly = Object.assign(new Error('EROFS: read-only file system, open'), {
    code: 'EROFS',
    errno: -30,
  });
  const messageOf = (file: string) => refusal(readOnly, { file, action: 'write', value: '1' }).message;
  assert.match(messageOf('/tracing/tracing_on'), /host's tracefs writable/);
  assert.match(messageOf('/sys/block/vda/trace/enable'), /\/sys\/devices writable at \/sys\/devices/);
});
