import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearest } from '../../../src/config/suggest.ts';

test('edit distance counts insertions, deletions, replacements and swaps', () => {
  const cases: [string, string, number][] = [
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['form', 'from', 1],
    ['wran', 'warn', 1],
  ];
  for (const [a, b, distance] of cases) {
    assert.equal(editDistance(a, b), distance, `${a} ${b}`);
    assert.equal(editDistance(b, a), distance, `${b} ${a}`);
  }
});

test('the nearest is suggested only when it is near', () => {
  assert.equal(nearest('sycalls', ['sched', 'syscalls']), 'syscalls');
  assert.equal(nearest('listen-address', ['listen_address']), 'listen_address');
  assert.equal(nearest('Enabled', ['enabled']), 'enabled');
  assert.equal(nearest('x', ['irq', 'sched']), undefined);
  assert.equal(nearest('otlp', ['web', 'log', 'probes']), undefined);
});
