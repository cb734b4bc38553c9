import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { DEFAULT_BUCKETS, decimalBuckets } from '../../../src/config/units/buckets.ts';
import { globMatcher } from '../../../src/config/units/globs.ts';
import { cpuList, duration, globs, probeSchema, size, taskProbeSchema } from '../../../src/config/units.ts';
import type { CommonOptions } from '../../../src/probes/probe.ts';

const seed = Number(process.env.FC_SEED ?? Date.now() % 2 ** 31);
console.log(`fast-check seed ${seed}: FC_SEED=${seed} repeats this run`);

const DEFAULTS = { enabled: true, per_cpu: false, max_series: 500, buckets: DEFAULT_BUCKETS };

test('default buckets are exact 1-2-5 decimals from 1 us to 10 s', () => {
  assert.equal(
    DEFAULT_BUCKETS.join(' '),
    '0.000001 0.000002 0.000005 0.00001 0.00002 0.00005 0.0001 0.0002 0.0005 0.001 0.002 0.005 ' +
      '0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10',
  );
  assert.deepEqual(decimalBuckets(1e-6, 1e-5), [1e-6, 2e-6, 5e-6, 1e-5]);
});

test('an empty section of a probe gives its defaults', () => {
  const schema: z.ZodType<CommonOptions & { from: string }> = probeSchema(DEFAULTS, {
    from: z.enum(['wakeup', 'waking']).default('wakeup'),
  });
  const defaults = { ...DEFAULTS, buckets: [...DEFAULT_BUCKETS], essential: false, from: 'wakeup' };
  assert.deepEqual(schema.parse({}), defaults);
  assert.equal(schema.parse({ from: 'waking', per_cpu: true }).per_cpu, true);
});

test('series by container have a lower limit, unless the section has one', () => {
  const schema = taskProbeSchema(DEFAULTS, {});
  const limit = (section: object) => schema.parse(section).max_series;
  assert.equal(limit({}), 500);
  assert.equal(limit({ per_container: true }), 200);
  assert.equal(limit({ per_container: true, max_series: 500 }), 500);
  assert.equal(schema.safeParse({ max_series: 0 }).success, false);
});

test('sections are strict', () => {
  const schema = probeSchema(DEFAULTS, {});
  for (const bad of [
    { bucket: [] },
    { enabled: 'yes' },
    { max_series: 0 },
    { max_series: 1.5 },
    [],
    null,
    'on',
  ]) {
    assert.equal(schema.safeParse(bad).success, false, JSON.stringify(bad));
  }
});

test('buckets are durations or seconds, and exact', () => {
  const schema = probeSchema(DEFAULTS, {});
  assert.deepEqual(schema.parse({ buckets: ['1us', '100us', 0.5, '1m'] }).buckets, [1e-6, 1e-4, 0.5, 60]);
});

test('buckets must ascend, be positive, few and at least one', () => {
  const message = (buckets: unknown) => {
    const { error } = probeSchema(DEFAULTS, {}).safeParse({ buckets });
    return error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ') ?? 'good';
  };
  assert.match(message(['1ms', '1us']), /^buckets\.1 bounds must ascend/);
  assert.match(message(['1ms', '1ms']), /^buckets\.1 bounds must ascend/);
  assert.match(message([0]), /^buckets\.0 0 is not between/);
  assert.match(message([-1]), /^buckets\.0 -1 is not between/);
  assert.match(message([Number.POSITIVE_INFINITY]), /^buckets\.0 /);
  assert.match(message(['soon']), /^buckets\.0 "soon" is not a duration/);
  assert.match(message([]), /is empty/);
  assert.match(message(Array.from({ length: 201 }, (_, i) => i + 1)), /more than 200/);
  assert.equal(message([1e-9, 86_400]), 'good');
});

test('durations and sizes keep to their bounds, and the error names these', () => {
  const tick = duration({ min: 2e6, max: 1e9 });
  assert.equal(tick.parse('2ms'), 2e6);
  assert.equal(tick.parse('1s'), 1e9);
  for (const text of ['1ms', '2s']) {
    assert.match(tick.safeParse(text).error?.issues[0].message ?? '', /between 2ms and 1s/);
  }
  assert.equal(tick.safeParse(20).success, false);
  assert.equal(size({ max: 8192 }).parse(4096), 4096);
  assert.match(size({ max: 8192 }).safeParse('1MiB').error?.issues[0].message ?? '', /between 0 and 8KiB/);
  assert.deepEqual(cpuList().parse(2), [2]);
  assert.equal(cpuList().safeParse(2.5).success, false);
});

test('globs match whole names, case and all', () => {
  const cases: [string, string, boolean][] = [
    ['vfs_*', 'vfs_read', true],
    ['vfs_*', 'VFS_read', false],
    ['vfs_*', 'xvfs_read', false],
    ['*', '', true],
    ['', '', true],
    ['?', '', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['*a*b', 'xaxxbxb', true],
    ['*a*b', 'xaxxbxc', false],
    ['futex', 'futex_wait', false],
    ['a.c', 'abc', false],
    ['**', 'x', true],
  ];
  for (const [glob, name, yes] of cases) assert.equal(globMatcher([glob])(name), yes, `${glob} ${name}`);
  assert.equal(globMatcher([])('x'), false);
});

test('a glob matches as the regular expression of the same meaning does', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const property = fc.property(
    text,
    fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }),
    (glob, name) => {
      const pattern = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      assert.equal(globMatcher([glob])(name), pattern.test(name));
    },
  );
  fc.assert(property, { seed, numRuns: 2000 });
});

test('a glob with many wildcards ends soon', () => {
  assert.equal(globMatcher([`${'*a'.repeat(40)}b`])('a'.repeat(2000)), false);
});

test('globs for functions refuse what tracefs takes as a command', () => {
  assert.deepEqual(globs('function').parse(['vfs_*', 'foo.constprop.0']), ['vfs_*', 'foo.constprop.0']);
  for (const bad of [
    'schedule:traceoff',
    '!vfs_read',
    'a b',
    'a\nb',
    '[ab]*',
    '',
    '#x',
    ':mod:ext4',
    '17',
    '3c_read',
  ]) {
    assert.equal(globs('function').safeParse([bad]).success, false, JSON.stringify(bad));
  }
  assert.equal(globs('event').safeParse(['sched:*']).success, true);
  for (const bad of ['sched', 'a:b:c', '../x:y', 'a/b:c']) {
    assert.equal(globs('event').safeParse([bad]).success, false, bad);
  }
});
