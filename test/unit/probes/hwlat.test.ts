import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { hwlat } from '../../../src/probes/hwlat.ts';
import { run, TRACER_KERNELS } from './records.ts';

const LATENCY = 'ftrace_hwlat_latency_seconds';
const SAMPLE = 'ftrace:hwlat';

for (const kernel of TRACER_KERNELS) {
  test(`${kernel}: the longest gaps of a window, in seconds from microseconds`, () => {
    const h = run(hwlat, { cpus: '0-1' }, { kernel });
    assert.deepEqual(h.durations(LATENCY, 'inner', '1'), { count: 0, sum: 0 });
    h.feed(SAMPLE, { ts: 1, cpu: 1, duration: 92, outer_duration: 206, seqnum: 1, count: 161 });
    h.feed(SAMPLE, { ts: 2, cpu: 1, duration: 2082, outer_duration: 208 });
    h.feed(SAMPLE, { ts: 3, cpu: 0, duration: 0, outer_duration: 3712 });
    assert.deepEqual(h.durations(LATENCY, 'inner', '1'), { count: 2, sum: 2_174_000 });
    assert.deepEqual(h.durations(LATENCY, 'outer', '1'), { count: 2, sum: 414_000 });
    assert.deepEqual(h.durations(LATENCY, 'outer', '0'), { count: 1, sum: 3_712_000 });
  });
}

test('the config, and the request to the tracer', () => {
  const schema = hwlat.schema(schemaKit);
  assert.match(schema.safeParse({ enabled: true }).error?.issues[0].message ?? '', /interrupts are off/);
  assert.deepEqual(schema.safeParse({ width: '1s' }).error?.issues[0].path, ['width']);
  const request = hwlat.tracer?.(schema.parse({ cpus: '1,3', width: '20ms', threshold: '30us' }));
  assert.deepEqual(request?.cpumask, [1, 3]);
  assert.deepEqual(
    request?.knobs.map(({ file, value, optional }) => `${file}=${value}${optional ? '?' : ''}`),
    [
      'hwlat_detector/mode=per-cpu?',
      'hwlat_detector/width=20000',
      'hwlat_detector/window=1000000',
      'tracing_thresh=30',
    ],
  );
});
