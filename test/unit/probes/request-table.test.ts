import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ISSUED, QUEUED, RequestTable } from '../../../src/probes/tables/request-table.ts';

test('the first of equal requests is found first', () => {
  const table = new RequestTable(16);
  const first = table.add(8, 100, 1, QUEUED, 10);
  const second = table.add(8, 100, 1, QUEUED, 20);
  assert.equal(table.find(8, 100, 1, QUEUED), first);
  table.enter(first, ISSUED, 30, false);
  assert.equal(table.find(8, 100, 1, QUEUED), second);
  assert.equal(table.find(8, 100, 1, ISSUED), first);
  table.remove(first);
  assert.equal(table.find(8, 100, 1, ISSUED), -1);
  assert.equal(table.since(table.oldest), 20);
});

test('device, sector above 2^32 and operation are all part of the key', () => {
  const table = new RequestTable(16);
  table.add(8, 5, 1, QUEUED, 1);
  assert.equal(table.find(9, 5, 1, QUEUED), -1);
  assert.equal(table.find(8, 5 + 2 ** 32, 1, QUEUED), -1);
  assert.equal(table.find(8, 5, 0, QUEUED), -1);
  const far = table.add(8, 5 + 2 ** 40, 1, QUEUED, 2);
  assert.equal(table.find(8, 5 + 2 ** 40, 1, QUEUED), far);
});

test('a full table is refilled from what was removed', () => {
  const table = new RequestTable(4);
  for (let i = 0; i < 1000; i++) {
    if (table.full) table.remove(table.oldest);
    table.add(8, i, 0, QUEUED, i + 1);
  }
  assert.equal(table.size, 4);
  assert.equal(table.since(table.oldest), 997);
});

test('behaves like a list of requests', (t) => {
  const step = fc.record({
    what: fc.constantFrom('add', 'issue', 'move', 'remove'),
    dev: fc.constantFrom(8, 9),
    sector: fc.constantFrom(0, 1, 2 ** 32, 2 ** 33 + 1),
    operation: fc.constantFrom(0, 1),
  });
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const table = new RequestTable(8);
      // The model is in the order in which entries were added, like the chains; `age` is the order of time.
      let model: { key: string; state: number; since: number; age: number }[] = [];
      let clock = 0;
      for (const { what, dev, sector, operation } of steps) {
        clock++;
        const key = `${dev} ${sector} ${operation}`;
        const wanted = what === 'issue' ? QUEUED : ISSUED;
        const slot = table.find(dev, sector, operation, wanted);
        const expected = model.find((entry) => entry.key === key && entry.state === wanted);
        assert.equal(slot < 0 ? undefined : table.since(slot), expected?.since);
        if (what === 'add') {
          if (table.full) {
            const oldest = model.reduce((a, b) => (a.age < b.age ? a : b));
            assert.equal(table.since(table.oldest), oldest.since);
            model = model.filter((entry) => entry !== oldest);
            table.remove(table.oldest);
          }
          table.add(dev, sector, operation, QUEUED, clock);
          model.push({ key, state: QUEUED, since: clock, age: clock });
        } else if (expected !== undefined) {
          if (what === 'issue') {
            table.enter(slot, ISSUED, clock, false);
            Object.assign(expected, { state: ISSUED, since: clock });
          } else {
            model = model.filter((entry) => entry !== expected);
            if (what === 'remove') table.remove(slot);
            else {
              table.move(slot, sector + 1);
              model.push({ ...expected, key: `${dev} ${sector + 1} ${operation}` });
            }
          }
        }
        assert.equal(table.size, model.length);
      }
    }),
    { seed },
  );
});
