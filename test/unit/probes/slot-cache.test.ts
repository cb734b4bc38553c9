import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlotCache } from '../../../src/probes/tables/slot-cache.ts';

test('a place is resolved once, until its row is forgotten', () => {
  const lookups: string[] = [];
  const cache = new SlotCache(3, (row, column) => {
    lookups.push(`${row}/${column}`);
    return row * 100 + column;
  });
  assert.equal(cache.at(5, 2), 502);
  assert.equal(cache.at(0, 0), 0);
  assert.equal(cache.at(5, 2), 502);
  assert.equal(cache.at(0, 0), 0);
  assert.deepEqual(lookups, ['5/2', '0/0']);
  cache.forget(5);
  cache.at(5, 2);
  cache.at(0, 0);
  assert.deepEqual(lookups, ['5/2', '0/0', '5/2']);
});

test('a column past the last is not mistaken for one of the next row', () => {
  const cache = new SlotCache(2, (row, column) => row * 100 + column);
  assert.equal(cache.at(0, 2), 2);
  assert.equal(cache.at(1, 0), 100);
  assert.equal(cache.at(0, 2), 2);
});
