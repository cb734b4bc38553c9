import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table } from '../../../src/cli/output.ts';

test('columns are as wide as their widest cell; the last one is not padded', () => {
  assert.equal(
    table([
      ['a', 'on', 'x'],
      ['long', '', 'a longer text'],
      ['b', 'off', ''],
    ]),
    'a     on   x\nlong       a longer text\nb     off\n',
  );
  assert.equal(table([['a', 'b']], '  '), '  a  b\n');
  assert.equal(table([]), '');
});
