import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { createRenderer } from '../../src/export/exposition/text.ts';
import { createProcessMetrics } from '../../src/export/process-metrics.ts';
import { MetricStore } from '../../src/metrics/store.ts';
import { skipWithout } from '../support/tools.ts';

test('promtool has nothing to say about the text format', {
  skip: skipWithout('promtool', 'prometheus'),
}, async () => {
  const store = new MetricStore();
  const counter = store.counter({
    name: 'ftrace_block_io_bytes_total',
    help: 'Bytes "read" and written\\.\nBy device.',
    unit: 'bytes',
    labels: ['device'],
  });
  for (const device of ['sda', 'quote"back\\slash\nline', 'ünï😀', '\x01\x7f', '\ud800']) {
    counter.add(counter.slot([device]), 1e18);
  }
  const histogram = store.histogram({
    name: 'ftrace_syscall_duration_seconds',
    help: 'Durations.',
    labels: ['syscall'],
    bounds: [1e-6, 2e-6, 5e-6, 1e-3, 0.5, 1, 10],
  });
  for (const ns of [0, 500, 1500, 3e6, 2e9, 6e10]) histogram.record(histogram.slot(['read']), ns);
  histogram.slot(['write']);
  const max = store.maxGauge({ name: 'ftrace_max_seconds', help: 'Max.', divisor: 1e9, windowMs: 1000 });
  max.record(max.slot([]), 12345);
  const processFamilies = createProcessMetrics();
  for (const constantLabels of [{}, { source: 'replay' }]) {
    const body = createRenderer({ constantLabels }).render(
      [store.snapshot()],
      'text',
      await processFamilies(),
    );
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body });
    assert.deepEqual(
      { status, stdout: String(stdout), stderr: String(stderr) },
      { status: 0, stdout: '', stderr: '' },
    );
  }
});
