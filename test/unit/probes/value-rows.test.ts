import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FunctionNames } from '../../../src/model/function-names.ts';
import { OTHER_ROW, UNKNOWN_ROW, ValueRows } from '../../../src/probes/tables/value-rows.ts';

const HIGH = 0xffffffff | 0;

/** Function names that a test can change, and the number of look-ups. */
function names(lookup: (low: number, high: number) => string | undefined) {
  const functions = { of: lookup, generation: 1, asked: 0 };
  const asNames: FunctionNames & typeof functions = Object.assign(functions, {
    nameOf: (low: number, high: number) => {
      functions.asked++;
      return functions.of(low, high);
    },
  });
  return asNames;
}

test('an address is looked up once; both of its words count', () => {
  const functions = names((low, high) => `f${low >>> 0}/${high >>> 0}`);
  const rows = new ValueRows(functions, 100, () => assert.fail('refused'));
  const a = rows.row(0x81000010 | 0, HIGH);
  assert.equal(rows.row(0x81000010 | 0, HIGH), a);
  assert.equal(functions.asked, 1);
  assert.notEqual(rows.row(0x81000010 | 0, 0), a);
  assert.notEqual(rows.row(0x81000020 | 0, HIGH), a);
  assert.equal(rows.names[a], 'f2164260880/4294967295');
  assert.equal(rows.row(0, 0), rows.row(0, 0));
});

test('functions of the same name share a row; what has no name is unknown', () => {
  const rows = new ValueRows(
    names((low) => (low < 100 ? 'same' : undefined)),
    1,
    () => assert.fail('refused'),
  );
  assert.equal(rows.row(16, 0), rows.row(32, 0));
  assert.equal(rows.row(160, 0), UNKNOWN_ROW);
  assert.equal(rows.names[UNKNOWN_ROW], 'unknown');
});

test('above the limit functions share a row, and each is reported once', () => {
  let refused = 0;
  const rows = new ValueRows(
    names((low) => `f${low}`),
    2,
    () => refused++,
  );
  assert.deepEqual(
    [16, 32, 48, 48, 64, 16].map((low) => rows.row(low, 0)),
    [2, 3, OTHER_ROW, OTHER_ROW, OTHER_ROW, 2],
  );
  assert.equal(refused, 2);
  assert.deepEqual(rows.names, ['unknown', 'other', 'f16', 'f32']);
});

test('when names may have changed, addresses are looked up again; rows keep their names', () => {
  const functions = names(() => undefined);
  const rows = new ValueRows(functions, 10, () => {});
  assert.equal(rows.row(16, 0), UNKNOWN_ROW);
  functions.of = () => 'late_module';
  rows.refresh();
  assert.equal(rows.row(16, 0), UNKNOWN_ROW);
  functions.generation++;
  rows.refresh();
  const row = rows.row(16, 0);
  assert.equal(rows.names[row], 'late_module');
  functions.generation++;
  rows.refresh();
  assert.equal(rows.row(16, 0), row);
  assert.equal(functions.asked, 3);
  rows.refresh();
  rows.row(16, 0);
  assert.equal(functions.asked, 3);
});

test('tens of thousands of addresses keep their rows', () => {
  const rows = new ValueRows(
    names((low, high) => `${low},${high}`),
    1e6,
    () => {},
  );
  // Use few different low words, so that many addresses differ only in the high word.
  const word = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer());
  const addresses = fc.array(fc.tuple(word, fc.integer()), { minLength: 1, maxLength: 3000 });
  fc.assert(
    fc.property(addresses, (words) => {
      for (const [low, high] of words) rows.row(low, high);
      for (const [low, high] of words) assert.equal(rows.names[rows.row(low, high)], `${low},${high}`);
    }),
    { numRuns: 30 },
  );
});

test('more addresses than a kernel has functions do not take more memory', () => {
  const functions = names(() => undefined);
  const rows = new ValueRows(functions, 10, () => {});
  for (let i = 0; i < 300_000; i++) assert.equal(rows.row(i * 16, 7), UNKNOWN_ROW);
  assert.equal(functions.asked, 300_000);
  assert.equal(rows.row(299_999 * 16, 7), UNKNOWN_ROW);
  assert.equal(functions.asked, 300_000);
  // The table has forgotten this address, so it looks up the name again.
  rows.row(0, 7);
  assert.equal(functions.asked, 300_001);
});
