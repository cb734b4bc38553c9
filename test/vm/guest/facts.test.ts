/** `doctor` must find what is known of each kernel of the lab. */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { describe, it } from 'node:test';
import { BUILT } from '../tracers.ts';
import { cli, KERNEL } from './lab.ts';

interface Expected {
  tracers: string[];
  subbufferSizes: boolean;
  copyTraceMarker: boolean;
}

const COMMON = ['hwlat', 'blk', 'function_graph', 'wakeup_dl', 'wakeup_rt', 'wakeup', 'function', 'nop'];
const LATER = [...COMMON, 'timerlat', 'osnoise'];
const EXPECTED: Readonly<Record<string, Expected>> = {
  '5.10-rt': { tracers: COMMON, subbufferSizes: false, copyTraceMarker: false },
  '6.1-rt': { tracers: LATER, subbufferSizes: false, copyTraceMarker: false },
  '6.12-rt': { tracers: LATER, subbufferSizes: true, copyTraceMarker: false },
  '7.3-rt': { tracers: LATER, subbufferSizes: true, copyTraceMarker: true },
  [BUILT]: {
    tracers: [...LATER, 'irqsoff', 'preemptoff', 'preemptirqsoff'],
    subbufferSizes: true,
    copyTraceMarker: false,
  },
};
const DEFAULT_PROBES = ['block', 'irq', 'sched', 'softirq'];

describe('doctor', () => {
  const { status, stdout, stderr } = cli(['doctor', '--json']);
  const report = JSON.parse(stdout);
  const expected = EXPECTED[KERNEL];

  it('finds nothing wrong', () => {
    assert.equal(status, 0, stderr);
    assert.equal(report.problem, '');
    const on = report.probes.filter((probe: { on: boolean }) => probe.on);
    assert.deepEqual(on.map((probe: { name: string }) => probe.name).sort(), DEFAULT_PROBES);
    assert.ok(
      on.every((probe: { ok: boolean }) => probe.ok),
      stdout,
    );
  });

  it('names the kernel', () => {
    const { kernelRelease, machine, realtime, onlineCpus, clocks, functionTracing } = report.kernel;
    assert.equal(kernelRelease, release());
    assert.ok(kernelRelease.startsWith(KERNEL.replace(/-.*/, '.')), kernelRelease);
    assert.deepEqual([machine, realtime, onlineCpus], ['x86_64', KERNEL.endsWith('-rt'), [0, 1]]);
    assert.ok(clocks.includes('mono'));
    assert.deepEqual(functionTracing, { ok: true, reason: '' });
  });

  it('reports what this version of the kernel can do', () => {
    const { subbufferSizes, copyTraceMarker } = report.kernel;
    assert.deepEqual(
      { subbufferSizes, copyTraceMarker },
      {
        subbufferSizes: expected.subbufferSizes,
        copyTraceMarker: expected.copyTraceMarker,
      },
    );
    const lacking = expected.tracers.filter((tracer) => !report.kernel.tracers.includes(tracer));
    assert.deepEqual(lacking, [], report.kernel.tracers.join(' '));
  });
});
