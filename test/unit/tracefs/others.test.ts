/** What `doctor` says about other users of ftrace. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import { tracingUse } from '../../../src/tracefs/others.ts';
import { fakeTracefs } from './fake.ts';

test('instances are listed even if tracefs is read-only', (t) => {
  const files = {
    current_tracer: 'nop\n',
    'instances/b/current_tracer': '',
    'instances/a/current_tracer': '',
  };
  const root = fakeTracefs(t, files);
  const use = { topLevelTracer: 'nop', instances: ['a', 'b'] };
  assert.deepEqual(tracingUse(root), { ...use, instancesRefused: '' });
  t.mock.method(fs, 'accessSync', () => {
    throw Object.assign(new Error('read-only file system'), { code: 'EROFS' });
  });
  syncBuiltinESMExports();
  try {
    assert.deepEqual(tracingUse(root), { ...use, instancesRefused: 'EROFS' });
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
});
