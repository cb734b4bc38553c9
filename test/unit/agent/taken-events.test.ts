/**
 * A buffer of a fake kernel, from which somebody takes events, or which somebody empties or resizes. No call may get a
 * duration across such a gap. The pace of draining and the fill ratio must follow the size.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LiveBufferParts, openLiveBuffer } from '../../../src/agent/live/buffer.ts';
import { startDraining } from '../../../src/agent/live/drain.ts';
import { planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { nextTickNs } from '../../../src/agent/plan/sizes.ts';
import { makeTraceClock } from '../../../src/agent/stream/clock.ts';
import { Pipeline } from '../../../src/agent/stream/pipeline.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { probeCatalogue } from '../../../src/probes/catalogue.ts';
import type { Instance } from '../../../src/tracefs/instance.ts';
import type { InstanceState } from '../../../src/tracefs/instance-state.ts';
import { LAYOUT_4K, pageOf } from '../../support/pages.ts';
import { fixture } from '../decode/text/support.ts';
import { fakeHost, knownEvents, makeRecord } from '../probes/records.ts';
import { fakeTracefs } from '../tracefs/fake.ts';

const [ENTER, EXIT] = ['raw_syscalls:sys_enter', 'raw_syscalls:sys_exit'];
const FSYNC = 74;
const TASK = 7;
const FILL = 'ftrace_exporter_buffer_fill_ratio';
const MIB = 1 << 20;
const silent = () => {};

function openFake(t: TestContext, probe: string) {
  const warnings: string[] = [];
  const warn = (_: object, message: string) => void warnings.push(message);
  const log = { debug: silent, info: silent, warn, error: silent };
  const root = fakeTracefs(t, {});
  const dir = join(root, 'instances/a');
  mkdirSync(join(dir, 'per_cpu/cpu0'), { recursive: true });
  const now = makeTraceClock();
  const beganNs = now() - 1e9;
  const unread: Uint8Array[] = [];
  let readEvents = 0;
  const count = () =>
    writeFileSync(join(dir, 'per_cpu/cpu0/stats'), `bytes: ${MIB}\nread events: ${readEvents}\n`);
  count();
  const take = () => {
    const page = unread.shift();
    if (page !== undefined) readEvents++;
    count();
    return page;
  };
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  const enabled = probeCatalogue
    .filter(({ name }) => name === probe)
    .map((module) => ({ module, options: module.schema(schemaKit).parse({ enabled: true }) }));
  const formatText = (event: string) => fixture(`formats-6.18/${event.replace(':', '/')}`).toString();
  const metadata = {
    ...{ clock: 'mono', machine: 'x86_64', kernelRelease: '', cpuCount: 1, events: () => knownEvents() },
    formatText,
  };
  const host = fakeHost;
  const plan = planEvents({
    ...{ enabled, metadata, host, onlineCpus: [0], store, self, isSelf: () => false },
  });
  const source = {
    cpus: () => [0],
    readPage: (_cpu: number, into: Uint8Array) => {
      const page = take();
      into.set(page ?? []);
      return page?.length ?? 0;
    },
  };
  const onError = (_cpu: number, error: string) => assert.fail(error);
  const stream = new Pipeline({ source, layout: LAYOUT_4K, plan, onError });
  const state: InstanceState = {
    ...{ recording: true, overwrite: true, clock: 'mono', tracer: 'nop', events: new Set(plan.events) },
    ...{
      limits: new Map(),
      followsForks: false,
      settings: new Map(),
      disksOff: [],
      bufferBytesPerCpu: 2 * MIB,
      pageBytes: 4096,
    },
  };
  const clear = () => {
    unread.length = 0;
    readEvents = 0;
    count();
  };
  /** When recording is switched on, the kernel empties the buffer of some tracers. */
  const set = (file: string) => {
    if (file !== 'tracing_on') return;
    state.recording = true;
    clear();
  };
  const instance = {
    ...{ root, name: 'a', dir, state: () => ({ ...state }) },
    ...{ set, enable: silent, start: silent, stop: silent, remove: () => [] },
  } as unknown as Instance;
  const shared = {
    ...{ config: { drainIntervalMs: 1 }, root, store, self, log, host, onlineCpus: [0], onError },
  } as unknown as LiveBufferParts['shared'];
  const planned = {
    ...{ plan, reader: 'raw' as const },
    open: () => ({ stream, cpus: () => [0], refresh: silent, close: silent }),
  };
  const inForce = { bufferBytesPerCpu: 2 * MIB, subbufferBytes: 4096 } as LiveBufferParts['inForce'];
  const buffer = openLiveBuffer({
    ...{ name: 'events', instance, planned, inForce, shared, stopsWhen: '' },
  });
  buffer.start();
  t.after(() => buffer.remove());
  const tick = () => {
    buffer.beforeTick();
    stream.tick(now(), 100);
  };
  const sampleOf = (name: string) => {
    const family = store.snapshot().families.find(({ spec }) => spec.name === name);
    assert.ok(family, name);
    return family;
  };
  return {
    ...{ buffer, state, tick },
    /** Records an event of the task, this many milliseconds after the beginning. */
    record: (event: string, ms: number) => {
      const { bytes, offset, length } = makeRecord(event, { ts: 0, by: TASK, id: FSYNC });
      const type = bytes[offset] | (bytes[offset + 1] << 8);
      unread.push(pageOf([{ ts: beganNs + ms * 1e6, type, body: bytes.slice(offset + 4, offset + length) }]));
    },
    /** Somebody reads the oldest events. */
    steal: (events: number) => {
      for (let i = 0; i < events; i++) assert.ok(take());
    },
    /** Somebody empties the buffer, which resets the kernel's counters. */
    clear,
    warnings,
    calls: () => {
      const { histogram } = sampleOf('ftrace_syscall_duration_seconds');
      return [...(histogram?.counts ?? [])].reduce((sum, n) => sum + n, 0);
    },
    loss: () => buffer.readings()[0].loss,
    gauge: (name: string) => {
      self.update('events', buffer.readings());
      return sampleOf(name).values[0];
    },
  };
}

/** Two calls of 2 ms. What happens between the start of the first and the end of the second is the test's part. */
function openCalls(t: TestContext) {
  const fake = openFake(t, 'syscalls');
  return {
    ...fake,
    begin: () => fake.record(ENTER, 100),
    between: () => {
      fake.record(EXIT, 102);
      fake.record(ENTER, 200);
    },
    end: () => fake.record(EXIT, 202),
  };
}

test('calls have durations while nobody else reads', (t) => {
  const { begin, between, end, tick, calls, loss } = openCalls(t);
  begin();
  tick();
  between();
  tick();
  end();
  tick();
  assert.deepEqual([calls(), loss()?.taken, loss()?.cleared], [2, 0, 0]);
});

test('events that somebody took void the call that was open', (t) => {
  const { begin, between, end, steal, tick, calls, loss } = openCalls(t);
  begin();
  tick();
  between();
  steal(2);
  end();
  tick();
  assert.deepEqual([calls(), loss()?.taken], [0, 2]);
});

test('events that somebody took void a call whose start was still in the buffer, but no later call', (t) => {
  const { buffer, begin, between, end, record, steal, tick, calls, loss } = openCalls(t);
  record(EXIT, 50);
  steal(1);
  begin();
  tick();
  assert.equal(loss()?.taken, 1);
  between();
  end();
  tick();
  assert.equal(calls(), 0);
  record(ENTER, 5000);
  record(EXIT, 5002);
  buffer.finish();
  assert.equal(calls(), 1);
});

test('a buffer that somebody emptied voids the call that was open, also if it is as full as before', (t) => {
  for (const refill of [0, 1]) {
    const { begin, between, end, clear, record, tick, calls, loss } = openCalls(t);
    begin();
    tick();
    between();
    clear();
    for (let i = 0; i < refill; i++) record(EXIT, 201);
    end();
    tick();
    assert.deepEqual([calls(), loss()?.cleared, loss()?.taken], [0, 1, 0], `${refill} more`);
  }
});

test('a buffer that was emptied because the agent switched recording on again is nobody else’s doing', (t) => {
  const { buffer, state, record, tick, clear, warnings } = openFake(t, 'syscalls');
  record(ENTER, 100);
  tick();
  state.recording = false;
  buffer.check(0);
  buffer.check(60_000);
  assert.equal(state.recording, true);
  tick();
  assert.deepEqual(warnings, ['undid a change by another program']);
  record(EXIT, 102);
  tick();
  clear();
  tick();
  assert.match(warnings[1], /another user has emptied this buffer/);
});

test('the pace of draining and the fill ratio follow a buffer that somebody resized', async (t) => {
  const { buffer, state, gauge } = openFake(t, 'softirq');
  const { drained } = buffer;
  assert.ok(drained);
  const drain = startDraining({
    ...{ buffers: [drained], before: silent, onTick: silent, chores: silent },
    onFailure: (error) => assert.fail(String(error)),
  });
  t.after(() => drain.stop());
  const quietNs = (bytes: number) => nextTickNs({ ...drained.rule, bufferBytesPerCpu: bytes }, Infinity);
  assert.deepEqual([drain.tickNs(), gauge(FILL)], [quietNs(2 * MIB), 0.5]);
  for (const [bytes, fill] of [
    [MIB / 2, 1],
    [4 * MIB, 0.25],
  ]) {
    state.bufferBytesPerCpu = bytes;
    const { notices } = buffer.check(0);
    assert.match(notices.join(), /another user has changed the buffer size of .* from 2048 to \d+ KiB/);
    assert.equal(gauge(FILL), fill);
    assert.equal(buffer.status().bufferBytesPerCpu, bytes);
    while (drain.tickNs() !== quietNs(bytes)) await sleep(1);
  }
});
