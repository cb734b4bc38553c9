import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goFloat, openMetricsFloat, sampleValue } from '../../../src/export/exposition/numbers.ts';

/** Printed by Go 1.2x: strconv.FormatFloat(x, 'g', -1, 64). */
const GO: readonly (readonly [number, string])[] = [
  [0, '0'],
  [-0, '-0'],
  [1e-9, '1e-09'],
  [1e-6, '1e-06'],
  [2e-6, '2e-06'],
  [5e-6, '5e-06'],
  [1e-5, '1e-05'],
  [5e-5, '5e-05'],
  [1.25e-7, '1.25e-07'],
  [9.999e-5, '9.999e-05'],
  [1e-4, '0.0001'],
  [1.234e-4, '0.0001234'],
  [0.001, '0.001'],
  [0.05, '0.05'],
  [0.25, '0.25'],
  [1, '1'],
  [-1, '-1'],
  [1.5, '1.5'],
  [10, '10'],
  [99.95, '99.95'],
  [3600, '3600'],
  [100000, '100000'],
  [604800, '604800'],
  [999999, '999999'],
  [1e6, '1e+06'],
  [1000001, '1.000001e+06'],
  [1234567.5, '1.2345675e+06'],
  [123456789, '1.23456789e+08'],
  [1e21, '1e+21'],
  [1.5e21, '1.5e+21'],
  [1e100, '1e+100'],
  [5e-324, '5e-324'],
  [Number.MAX_VALUE, '1.7976931348623157e+308'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
  [Number.NaN, 'NaN'],
];

test('le is written as Go writes it', () => {
  for (const [x, text] of GO) assert.equal(goFloat(x), text);
});

test('OpenMetrics adds .0 to whole numbers without an exponent', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0.0'],
    [1, '1.0'],
    [10, '10.0'],
    [-1, '-1.0'],
    [2.5, '2.5'],
    [1e-6, '1e-06'],
    [1e6, '1e+06'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NaN, 'NaN'],
  ];
  for (const [x, text] of cases) assert.equal(openMetricsFloat(x), text);
});

test('values are written exactly, infinities with their sign', () => {
  for (const x of [0, 5, 0.1, 1e-7, 1.7976931348623157e308, 2 ** 53]) assert.equal(Number(sampleValue(x)), x);
  assert.equal(sampleValue(Number.POSITIVE_INFINITY), '+Inf');
  assert.equal(sampleValue(Number.NEGATIVE_INFINITY), '-Inf');
});
