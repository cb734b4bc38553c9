import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatCpuList,
  formatDuration,
  formatSize,
  parseCpuList,
  parseDuration,
  parseSize,
} from '../../../src/config/units/quantity.ts';

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
console.log(`fast-check seed ${seed}: FC_SEED=${seed} repeats this run`);

test('durations are read in all units, decimals exactly', () => {
  const cases: [string, number][] = [
    ['100us', 1e5],
    ['10ms', 1e7],
    ['1s', 1e9],
    ['2m', 120e9],
    ['1h', 3600e9],
    ['0s', 0],
    ['7ns', 7],
    ['1.1us', 1100],
    ['0.001ms', 1000],
    ['1.5h', 5400e9],
    ['2.000s', 2e9],
  ];
  for (const [text, ns] of cases) assert.equal(parseDuration(text), ns, text);
});

test('a value that is no duration is refused with what would be right', () => {
  assert.throws(() => parseDuration('10'), /"10" is not a duration \(did you mean "10s"\?\)/);
  for (const text of [
    '',
    'ms',
    '-1s',
    '+1s',
    '1 s',
    '1d',
    '1e3s',
    '1.s',
    '.5s',
    '1s ',
    '1S',
    '1m30s',
    '１s',
    'Infinitys',
  ]) {
    assert.throws(() => parseDuration(text), /is not a duration/, JSON.stringify(text));
  }
  assert.throws(() => parseDuration('0.5ns'), /whole number of nanoseconds/);
  assert.throws(() => parseDuration('999999999999999h'), /below 2\^53/);
});

test('a formatted duration reads back as itself', () => {
  const property = fc.property(
    fc.oneof(
      fc.maxSafeNat(),
      fc.nat(1e6).map((s) => s * 1e9),
    ),
    (ns) => {
      assert.equal(parseDuration(formatDuration(ns)), ns);
    },
  );
  fc.assert(property, { seed });
  assert.equal(formatDuration(120e9), '2m');
  assert.equal(formatDuration(20e6), '20ms');
});

test('sizes are powers of 1024, and a formatted one reads back as itself', () => {
  assert.equal(parseSize('64MiB'), 67108864);
  assert.equal(parseSize('4KiB'), 4096);
  assert.equal(parseSize('512'), 512);
  assert.throws(() => parseSize('64MB'), /did you mean "64MiB"/);
  assert.throws(() => parseSize('64m'), /did you mean "64MiB"/);
  for (const text of ['', '-1', '1.5MiB', '1 MiB', 'MiB', '1TiB', '0x10']) {
    assert.throws(() => parseSize(text), /is not a size/, text);
  }
  const property = fc.property(
    fc.oneof(
      fc.maxSafeNat(),
      fc.nat(1e6).map((n) => n * 2 ** 20),
    ),
    (bytes) => {
      assert.equal(parseSize(formatSize(bytes)), bytes);
    },
  );
  fc.assert(property, { seed });
});

test('CPU lists are read as the kernel writes them', () => {
  assert.deepEqual(parseCpuList('0-3,8'), [0, 1, 2, 3, 8]);
  assert.deepEqual(parseCpuList('8,0-2,1-3'), [0, 1, 2, 3, 8]);
  assert.throws(() => parseCpuList('3-1'), /is descending: write 1-3/);
  assert.throws(() => parseCpuList('9000'), /there is no CPU 9000/);
  for (const text of ['', '0-', '-1', '0,,1', '0 1', 'all', '0-3:2/4', '0x1']) {
    assert.throws(() => parseCpuList(text), /is not a list of CPUs/, text);
  }
  const sets = fc.uniqueArray(fc.nat(8191), { minLength: 1, maxLength: 50 });
  const property = fc.property(sets, (cpus) => {
    const ascending = cpus.sort((a, b) => a - b);
    assert.deepEqual(parseCpuList(formatCpuList(ascending)), ascending);
  });
  fc.assert(property, { seed });
});
