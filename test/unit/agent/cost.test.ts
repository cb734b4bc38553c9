import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePhaseCpu } from '../../../src/agent/live/phase-cpu.ts';
import { declareCpuSeconds } from '../../../src/agent/main/cpu-metrics.ts';
import { NOTHING_LOST } from '../../../src/agent/plan/loss-ledger.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';

function linesOf(store: MetricStore, name: string): string[] {
  const text = createRenderer().render([store.snapshot()], 'text').toString();
  return text.split('\n').filter((line) => line.startsWith(name));
}

test('phases share the CPU time of the thread, not the time it waited for a CPU', () => {
  const times = { cpuMs: 100, busyMs: 1000 };
  const stream = { spent: { readMs: 0, decodeMs: 0 } };
  const phases = makePhaseCpu([stream], () => ({ ...times }));
  // 300 ms of wall time, during a third of which the thread had a CPU.
  times.cpuMs += 100;
  times.busyMs += 300;
  stream.spent = { readMs: 60, decodeMs: 180 };
  const { readSeconds, decodeSeconds } = phases();
  assert.deepEqual([readSeconds.toFixed(6), decodeSeconds.toFixed(6)], ['0.020000', '0.060000']);
});

test('CPU time by part adds up to that of the process, and survives a new capture thread', () => {
  const store = new MetricStore({ countsSeries: false });
  const cpu = { threadSeconds: 1, processSeconds: 10 };
  const set = declareCpuSeconds(store, () => cpu);
  set({ readSeconds: 2, decodeSeconds: 4 });
  const name = 'ftrace_exporter_cpu_seconds_total';
  assert.deepEqual(linesOf(store, name), [
    `${name}{part="read"} 2`,
    `${name}{part="decode"} 4`,
    `${name}{part="export"} 1`,
    `${name}{part="other"} 3`,
  ]);
  cpu.processSeconds = 11;
  set({ readSeconds: 0.25, decodeSeconds: 0.25 });
  assert.deepEqual(linesOf(store, name), [
    `${name}{part="read"} 2.25`,
    `${name}{part="decode"} 4.25`,
    `${name}{part="export"} 1`,
    `${name}{part="other"} 3.5`,
  ]);
});

test('the rest never decreases when the capture thread reports late', () => {
  const store = new MetricStore({ countsSeries: false });
  const cpu = { threadSeconds: 0, processSeconds: 5 };
  const set = declareCpuSeconds(store, () => cpu);
  set({ readSeconds: 0, decodeSeconds: 0 });
  cpu.processSeconds = 6;
  set({ readSeconds: 2, decodeSeconds: 3 });
  const other = 'ftrace_exporter_cpu_seconds_total{part="other"}';
  assert.deepEqual(linesOf(store, other), [`${other} 5`]);
});

test('the estimate of recording counts events that were recorded, lost ones too', () => {
  const store = new MetricStore();
  const self = makeSelfMetrics(store, { maxWindowMs: 1000, recordingNs: 200 });
  const loss = { ...NOTHING_LOST, overrun: 1000, taken: 500, dropped: 7 };
  const rest = { bytes: 1, unreadBytes: 0, capacityBytes: 1 };
  self.update('events', [
    { cpu: 0, events: 3000, loss, ...rest },
    { cpu: 1, events: 500, loss: undefined, ...rest },
  ]);
  const name = 'ftrace_exporter_recording_cpu_seconds_total';
  assert.deepEqual(linesOf(store, name), [`${name}{buffer="events"} 0.001`]);
});
