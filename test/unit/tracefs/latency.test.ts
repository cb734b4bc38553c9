/** Records of a latency tracer, with plain files that change in the same order as the kernel's. */
import assert from 'node:assert/strict';
import fs, { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { latencyOf, readTrace, watchMaxLatency } from '../../../src/tracefs/latency.ts';
import { fakeTracefs } from './fake.ts';

/** The heading of a trace of 6.12-rt. `stamp` stands for the events below, which differ between records. */
const traceOf = (us: number, stamp: string) => `# tracer: wakeup_rt
#
# wakeup_rt latency trace v1.1.5 on 6.12.95+deb12-rt-amd64
# --------------------------------------------------------------------
# latency: ${us} us, #6/6, CPU#1 | (M:preempt_rt VP:0, KP:0, SP:0 HP:0 #P:2)
#    -----------------
#    | task: migration/1-32 (uid:0 nice:0 policy:1 rt_prio:99)
#    -----------------
  <idle>-0         1dNh6. ${stamp}us+:        0:120:R   + [001]      32:  0:R migration/1
`;
const EMPTY = '# tracer: wakeup_rt\n#\n';

function setUp(
  t: TestContext,
  options: { pollMs?: number; traceBytes?: number; onError?: (error: unknown) => void },
  before = '0',
) {
  const dir = fakeTracefs(t, { tracing_max_latency: `${before}\n`, trace: EMPTY });
  const seen: [number, string][] = [];
  const watch = watchMaxLatency(dir, (ns, trace) => seen.push([ns, trace]), {
    pollMs: 3_600_000,
    ...options,
  });
  t.after(watch.close);
  // Writes the trace first, then the maximum, as the kernel does.
  const record = (us: number, stamp: string, shown = us) => {
    writeFileSync(join(dir, 'trace'), traceOf(us, stamp));
    writeFileSync(join(dir, 'tracing_max_latency'), `${shown}\n`);
  };
  return { dir, seen, watch, record };
}

test('the latency of a trace is in its head', () => {
  assert.equal(latencyOf(traceOf(504, '1')), 504);
  assert.equal(latencyOf(EMPTY), undefined);
  assert.equal(latencyOf(`${'x'.repeat(2000)}\n# latency: 5 us, `), undefined);
});

test('a record is reported once, with its trace', (t) => {
  const { seen, watch, record } = setUp(t, {});
  watch.look();
  assert.deepEqual(seen, []);
  record(504, '1');
  watch.look();
  watch.look();
  assert.deepEqual(seen, [[504_000, traceOf(504, '1')]]);
  // A latency that is longer by less than a microsecond is a new record, too.
  record(504, '2');
  watch.look();
  assert.equal(seen.length, 2);
});

test('a latency without a trace is reported too, once', (t) => {
  const { dir, seen, watch } = setUp(t, {});
  writeFileSync(join(dir, 'tracing_max_latency'), '77\n');
  watch.look();
  watch.look();
  assert.deepEqual(seen, [[77_000, '']]);
});

test('a longer latency without a trace, while one is read, is reported beside it, once', (t) => {
  const { seen, watch, record, dir } = setUp(t, {});
  record(173, '1', 40_243);
  watch.look();
  watch.look();
  assert.deepEqual(seen, [
    [173_000, traceOf(173, '1')],
    [40_243_000, ''],
  ]);
  writeFileSync(join(dir, 'tracing_max_latency'), '53236\n');
  watch.look();
  watch.reset();
  assert.deepEqual(seen.slice(2), [[53_236_000, '']]);
  // After the reset, a latency without a trace counts even if an older trace is longer.
  writeFileSync(join(dir, 'tracing_max_latency'), '12\n');
  watch.look();
  assert.deepEqual(seen.slice(3), [[12_000, '']]);
});

test('a maximum from before the watch began does not count', (t) => {
  const { dir, seen } = setUp(t, {}, '8');
  assert.equal(readFileSync(join(dir, 'tracing_max_latency'), 'utf8'), '0\n');
  assert.deepEqual(seen, []);
});

test('a reset reports what came last, and the same trace is no new record after it', (t) => {
  const { seen, watch, record } = setUp(t, {});
  record(504, '1');
  watch.reset();
  assert.deepEqual(
    seen.map(([ns]) => ns),
    [504_000],
  );
  watch.look();
  assert.equal(seen.length, 1);
  // A reset has overwritten the maximum of this record, but its trace is still there.
  record(300, '2', 0);
  watch.look();
  assert.deepEqual(
    seen.map(([ns]) => ns),
    [504_000, 300_000],
  );
  record(7, '3');
  watch.look();
  assert.deepEqual(
    seen.map(([ns]) => ns),
    [504_000, 300_000, 7_000],
  );
});

test('a record between the last look of a reset and its write is reported', (t) => {
  const { seen, watch, record } = setUp(t, {});
  record(504, '1');
  watch.look();
  const { writeSync } = fs;
  t.mock.method(fs, 'writeSync', (fd: number, text: string) => {
    record(900, '2');
    return writeSync(fd, text);
  });
  syncBuiltinESMExports();
  try {
    watch.reset();
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
  assert.deepEqual(
    seen.map(([ns]) => ns),
    [504_000, 900_000],
  );
});

test('the kernel reports the record by itself', async (t) => {
  const { seen, record } = setUp(t, {});
  record(504, '1');
  for (let tries = 0; tries < 2000 && seen.length === 0; tries++) await sleep(10);
  assert.deepEqual(seen, [[504_000, traceOf(504, '1')]]);
});

test('if it does not, regular looks do', async (t) => {
  const { dir, seen } = setUp(t, { pollMs: 10 });
  // inotify watches the old file, so it reports no change of a new file with the same name.
  rmSync(join(dir, 'tracing_max_latency'));
  writeFileSync(join(dir, 'trace'), traceOf(9, '1'));
  writeFileSync(join(dir, 'tracing_max_latency'), '9\n');
  for (let tries = 0; tries < 2000 && seen.length === 0; tries++) await sleep(10);
  assert.deepEqual(
    seen.map(([ns]) => ns),
    [9_000],
  );
});

test('a long trace is cut after a line', (t) => {
  const { dir } = setUp(t, {});
  writeFileSync(join(dir, 'trace'), 'one\ntwo\nthree\n');
  assert.equal(readTrace(dir, 100), 'one\ntwo\nthree\n');
  assert.equal(readTrace(dir, 10), 'one\ntwo\n');
  assert.equal(readTrace(dir, 8), 'one\ntwo\n');
  assert.equal(readTrace(dir, 2), '');
});

test('an instance that is gone is an error for every caller that asks for it', async (t) => {
  const errors: unknown[] = [];
  const { dir, watch } = setUp(t, { pollMs: 10, onError: (error) => errors.push(error) });
  rmSync(join(dir, 'tracing_max_latency'));
  assert.throws(() => watch.look(), { errno: 'ENOENT' });
  for (let tries = 0; tries < 2000 && errors.length === 0; tries++) await sleep(10);
  assert.ok(errors.length > 0);
});
