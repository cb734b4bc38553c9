import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockRequest } from '../../../src/model/intervals.ts';
import { block } from '../../../src/probes/block.ts';
import { type Machine, run } from './records.ts';

const QUEUE = 'ftrace_block_io_queue_seconds';
const DEVICE = 'ftrace_block_io_device_seconds';
const BYTES = 'ftrace_block_io_bytes_total';
const REQUEUES = 'ftrace_block_io_requeues_total';
const ERRORS = 'ftrace_block_io_errors_total';
const DEV = (254 << 20) | 3;
const NO_SECTOR = 2n ** 64n - 1n;

function disk(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const h = run(block, options, machine);
  const feeder =
    (event: string) =>
    (ts: number, rwbs: string, sector: number | bigint, nr_sector: number, dev = DEV) =>
      h.feed(`block:block_rq_${event}`, { ts, rwbs, sector, nr_sector, dev });
  return {
    ...h,
    insert: feeder('insert'),
    issue: feeder('issue'),
    requeue: feeder('requeue'),
    merge: feeder('merge'),
    complete: (ts: number, rwbs: string, sector: number | bigint, nr_sector: number, dev = DEV, error = 0) =>
      h.feed('block:block_rq_complete', { ts, rwbs, sector, nr_sector, dev, error }),
    queue: (operation: string, device = 'disk3') => h.durations(QUEUE, device, operation),
    device: (operation: string, device = 'disk3') => h.durations(DEVICE, device, operation),
    bytes: (operation: string, device = 'disk3') => h.value(BYTES, device, operation),
  };
}

test('insert, issue, complete', () => {
  const d = disk();
  d.insert(1000, 'WS', 2048, 8);
  d.issue(1500, 'WS', 2048, 8);
  d.complete(3500, 'WS', 2048, 8);
  assert.deepEqual(d.queue('write'), { count: 1, sum: 500 });
  assert.deepEqual(d.device('write'), { count: 1, sum: 2000 });
  assert.equal(d.bytes('write'), 4096);
  assert.equal(d.bytes('read'), 0);
  assert.equal(d.value(ERRORS, 'disk3', 'read'), 0);
  assert.deepEqual(d.device('read'), { count: 0, sum: 0 });
  assert.equal(d.device('flush'), undefined);
  assert.deepEqual(d.unmatched, {});
});

test('without an insert there is no time in the queue', () => {
  const d = disk();
  d.issue(1500, 'RA', 2048, 8);
  d.complete(3500, 'RA', 2048, 8);
  assert.equal(d.queue('read'), undefined);
  assert.deepEqual(d.device('read'), { count: 1, sum: 2000 });
  assert.deepEqual(d.unmatched, {});
});

test('a flush is issued at sector 0 and completes at 2^64-1; the request that asked for it completes with 0 sectors', () => {
  const d = disk();
  d.issue(1000, 'FF', 0, 0);
  d.complete(1700, 'FF', NO_SECTOR, 0);
  d.complete(1701, 'WFS', 0, 0);
  d.complete(1702, 'FWS', NO_SECTOR, 0);
  assert.deepEqual(d.device('flush'), { count: 1, sum: 700 });
  // A flush has no sector, so different sectors in its events do not matter.
  d.issue(2000, 'FF', 4096, 0);
  d.complete(2100, 'FF', NO_SECTOR, 0);
  assert.deepEqual(d.device('flush'), { count: 2, sum: 800 });
  assert.equal(d.bytes('flush'), undefined);
  assert.deepEqual(d.device('write'), { count: 0, sum: 0 });
  assert.deepEqual(d.unmatched, {});
});

test('a complete of 0 sectors does not end a request at the same sector', () => {
  const d = disk();
  d.issue(1000, 'W', 0, 8);
  d.complete(1500, 'FWS', 0, 0);
  d.complete(2000, 'W', 0, 8);
  assert.deepEqual(d.device('write'), { count: 1, sum: 1000 });
});

test('a write that flushes first is a write', () => {
  const d = disk();
  d.issue(1000, 'FWFSM', 64, 8);
  d.complete(2000, 'FWFSM', 64, 8);
  assert.deepEqual(d.device('write'), { count: 1, sum: 1000 });
});

test('every operation has its name', () => {
  const d = disk();
  for (const [rwbs, operation] of [
    ['R', 'read'],
    ['RM', 'read'],
    ['W', 'write'],
    ['D', 'discard'],
    ['DE', 'discard'],
    ['F', 'flush'],
    ['FS', 'flush'],
    ['N', 'other'],
    ['FN', 'other'],
    ['', 'other'],
  ]) {
    const before = d.device(operation)?.count ?? 0;
    d.issue(1000, rwbs, 64, 0);
    d.complete(2000, rwbs, 64, 0);
    assert.equal(d.device(operation)?.count, before + 1, JSON.stringify(rwbs));
  }
});

test('a request that completes in parts is one, and its time is to the last part', () => {
  const d = disk();
  d.issue(1000, 'R', 1000, 24);
  d.complete(2000, 'R', 1000, 8);
  d.complete(3000, 'R', 1008, 8);
  assert.deepEqual(d.device('read'), { count: 0, sum: 0 });
  d.complete(4000, 'R', 1016, 8);
  assert.deepEqual(d.device('read'), { count: 1, sum: 3000 });
  assert.equal(d.bytes('read'), 24 * 512);
  assert.deepEqual(d.unmatched, {});
});

test('equal requests pair first in, first out', () => {
  const d = disk();
  d.issue(1000, 'R', 64, 8);
  d.issue(1900, 'R', 64, 8);
  d.complete(2000, 'R', 64, 8);
  assert.deepEqual(d.device('read'), { count: 1, sum: 1000 });
  d.complete(2000, 'R', 64, 8);
  assert.deepEqual(d.device('read'), { count: 2, sum: 1100 });
});

test('a request put back is one sample from its first insert to its last issue, inserted again or not', () => {
  for (const insertedAgain of [false, true]) {
    const d = disk();
    d.insert(1000, 'W', 64, 8);
    d.issue(1100, 'W', 64, 8);
    d.requeue(1500, 'W', 64, 8);
    if (insertedAgain) d.insert(1600, 'W', 64, 8);
    d.issue(2500, 'W', 64, 8);
    d.complete(2600, 'W', 64, 8);
    assert.deepEqual(d.queue('write'), { count: 1, sum: 1500 });
    assert.deepEqual(d.device('write'), { count: 1, sum: 100 });
    assert.equal(d.value(REQUEUES, 'disk3', 'write'), 1);
    d.issue(3000, 'W', 64, 8);
    d.complete(3100, 'W', 64, 8);
    assert.deepEqual(d.queue('write'), { count: 1, sum: 1500 }, 'nothing stays behind');
    assert.deepEqual(d.unmatched, {});
  }
});

test('a full device queue makes one long sample, however often its driver puts the request back', () => {
  const d = disk();
  d.insert(1000, 'W', 64, 8);
  for (let ts = 2000; ts < 10_000; ts += 1000) {
    d.issue(ts, 'W', 64, 8);
    d.requeue(ts + 10, 'W', 64, 8);
  }
  d.issue(10_000, 'W', 64, 8);
  assert.equal(d.queue('write'), undefined, 'it is not over yet');
  d.complete(10_500, 'W', 64, 8);
  assert.deepEqual(d.queue('write'), { count: 1, sum: 9000 });
  assert.deepEqual(d.device('write'), { count: 1, sum: 500 });
  assert.equal(d.value(REQUEUES, 'disk3', 'write'), 8);
  assert.equal(d.value(REQUEUES, 'disk3', 'read'), undefined);
});

test('a request that was issued at once and put back waits from then', () => {
  const d = disk();
  d.issue(1000, 'W', 64, 8);
  d.requeue(1010, 'W', 64, 8);
  d.issue(5010, 'W', 64, 8);
  d.complete(5500, 'W', 64, 8);
  assert.deepEqual(d.queue('write'), { count: 1, sum: 4000 });
});

test('a request that its driver refuses before it is issued waits since its insert', () => {
  const d = disk();
  d.insert(1000, 'W', 64, 8);
  d.requeue(1100, 'W', 64, 8);
  d.issue(1500, 'W', 64, 8);
  d.complete(1600, 'W', 64, 8);
  assert.deepEqual(d.queue('write'), { count: 1, sum: 500 });
  d.requeue(2000, 'W', 64, 8);
  d.insert(2100, 'W', 64, 8);
  d.issue(2200, 'W', 64, 8);
  d.complete(2300, 'W', 64, 8);
  assert.deepEqual(d.queue('write'), { count: 2, sum: 700 });
  assert.deepEqual(d.unmatched, {});
});

test('a request merged into another is gone', () => {
  const d = disk();
  d.insert(1000, 'W', 64, 8);
  d.insert(1100, 'W', 72, 8);
  d.merge(1200, 'W', 72, 8);
  d.issue(2000, 'W', 64, 16);
  d.complete(3000, 'W', 64, 16);
  d.issue(9000, 'W', 72, 8);
  assert.deepEqual(d.queue('write'), { count: 1, sum: 1000 });
  assert.deepEqual(d.unmatched, {});
});

test('works with a kernel without block_rq_merge', () => {
  const events = ['insert', 'issue', 'complete', 'requeue'].map((name) => `block:block_rq_${name}`);
  const d = disk({}, { events });
  assert.deepEqual(Object.keys(d.probe.handlers).sort(), events.sort());
});

test('an insert whose issue never comes expires, and so does an issue, much later', () => {
  const d = disk();
  d.insert(1e9, 'W', 64, 8);
  d.issue(1e9, 'R', 512, 8);
  d.complete(62e9, 'W', 4096, 0);
  d.probe.sweep?.();
  assert.deepEqual(d.unmatched, { evicted: 1 });
  d.issue(63e9, 'W', 64, 8);
  assert.equal(d.queue('write'), undefined);
  d.complete(700e9, 'W', 4096, 0);
  d.probe.sweep?.();
  assert.deepEqual(d.unmatched, { evicted: 3 });
});

test('more requests in flight than there is room for displace the oldest', () => {
  const d = disk();
  for (let i = 0; i < 16385; i++) d.issue(1000 + i, 'R', 8 * i, 8);
  d.complete(20000, 'R', 8 * 16384, 8);
  d.complete(20000, 'R', 8, 8);
  d.complete(20000, 'R', 0, 8);
  assert.equal(d.device('read')?.count, 2);
  assert.deepEqual(d.unmatched, { evicted: 1, no_start: 1 });
});

test('a loss on any CPU discards what began before its end; bytes still count', () => {
  const d = disk();
  d.issue(1000, 'R', 64, 8);
  d.insert(1000, 'W', 64, 8);
  d.probe.onLoss?.(2, 2000);
  d.complete(3000, 'R', 64, 8);
  d.issue(3000, 'W', 64, 8);
  d.complete(3100, 'W', 64, 8);
  assert.deepEqual(d.device('read'), { count: 0, sum: 0 });
  assert.equal(d.bytes('read'), 4096);
  assert.equal(d.queue('write'), undefined);
  assert.deepEqual(d.device('write'), { count: 1, sum: 100 });
  assert.deepEqual(d.unmatched, { lost: 2 });
});

test('what a loss left does not pair with a later request', () => {
  const d = disk();
  d.issue(1000, 'R', 64, 8);
  d.probe.onLoss?.(0, 2000);
  d.issue(3000, 'R', 64, 8);
  d.complete(3100, 'R', 64, 8);
  d.issue(5000, 'R', 64, 8);
  d.complete(5100, 'R', 64, 8);
  assert.deepEqual(d.device('read'), { count: 2, sum: 200 });
  assert.deepEqual(d.unmatched, { lost: 1 });
});

test('negative times are never recorded; ends without a start are counted', () => {
  const d = disk();
  d.insert(2000, 'R', 64, 8);
  d.issue(1900, 'R', 64, 8);
  d.complete(1800, 'R', 64, 8);
  d.complete(1800, 'R', 64, 8);
  assert.equal(d.queue('read'), undefined);
  assert.deepEqual(d.device('read'), { count: 0, sum: 0 });
  assert.deepEqual(d.unmatched, { late: 2, no_start: 1 });
});

test('a complete whose issue is missing takes the insert with it', () => {
  const d = disk();
  d.insert(1000, 'R', 64, 8);
  d.complete(2000, 'R', 64, 8);
  d.issue(9000, 'R', 64, 8);
  assert.equal(d.queue('read'), undefined);
  assert.deepEqual(d.unmatched, { no_start: 1 });
});

test('errors are counted', () => {
  const d = disk();
  d.issue(1000, 'R', 64, 8);
  d.complete(2000, 'R', 64, 8, DEV, -5);
  d.complete(2000, 'FF', 0, 0, DEV, -5);
  assert.equal(d.value(ERRORS, 'disk3', 'read'), 1);
  assert.equal(d.value(ERRORS, 'disk3', 'flush'), 1);
  assert.deepEqual(d.device('read'), { count: 1, sum: 1000 });
});

test('devices are separate; excluded ones and requests without a disk are left out', () => {
  const d = disk({ devices: ['disk3', 'disk1?'] });
  for (const dev of [DEV, DEV + 1, (254 << 20) | 12, 0]) {
    d.issue(1000, 'R', 64, 8, dev);
    d.complete(1500, 'R', 64, 8, dev);
  }
  assert.deepEqual(d.device('read'), { count: 1, sum: 500 });
  assert.deepEqual(d.device('read', 'disk12'), { count: 1, sum: 500 });
  assert.equal(d.device('read', 'disk4'), undefined);
  assert.equal(d.device('read', 'disk0'), undefined);
});

test('sectors above 2^32 and devices with a high major keep their place', () => {
  const d = disk();
  const dev = (4095 << 20) | 5;
  d.issue(1000, 'R', 64 + 2 ** 32, 8, dev);
  d.issue(1100, 'R', 64, 8, dev);
  d.complete(1500, 'R', 64 + 2 ** 32, 8, dev);
  assert.deepEqual(d.device('read', 'disk5'), { count: 1, sum: 500 });
});

test('above max_series devices go to other', () => {
  const d = disk({ max_series: 4 });
  for (let minor = 1; minor <= 6; minor++) {
    d.issue(1000, 'R', 64, 8, (254 << 20) | minor);
    d.complete(1100, 'R', 64, 8, (254 << 20) | minor);
  }
  assert.deepEqual(d.device('read', 'disk4'), { count: 1, sum: 100 });
  assert.deepEqual(d.device('read', 'other'), { count: 2, sum: 200 });
});

test('a device that is gone for five minutes takes its series along, and can come back', () => {
  const gone = new Set<number>();
  const d = disk({}, { host: { blockDeviceExists: (dev) => !gone.has(dev) } });
  const io = () => {
    d.issue(1000, 'R', 64, 8);
    d.complete(1100, 'R', 64, 8);
  };
  io();
  d.issue(1000, 'W', 64, 8, DEV + 1);
  d.complete(1300, 'W', 64, 8, DEV + 1);
  gone.add(DEV);
  for (let s = 0; s < 295; s++) d.probe.sweep?.();
  gone.delete(DEV);
  for (let s = 0; s < 10; s++) d.probe.sweep?.();
  assert.deepEqual(d.device('read'), { count: 1, sum: 100 }, 'back in time');
  gone.add(DEV);
  for (let s = 0; s < 100; s++) d.probe.sweep?.();
  assert.deepEqual(d.device('read'), { count: 1, sum: 100 }, 'gone again, but not for long');
  for (let s = 0; s < 205; s++) d.probe.sweep?.();
  assert.equal(d.device('read'), undefined);
  assert.equal(d.bytes('read'), undefined);
  assert.equal(d.value(ERRORS, 'disk3', 'read'), undefined);
  assert.deepEqual(d.device('write', 'disk4'), { count: 1, sum: 300 });
  io();
  assert.deepEqual(d.device('read'), { count: 1, sum: 100 });
  assert.deepEqual(d.device('write', 'disk4'), { count: 1, sum: 300 });
});

test('a number that is given to another device gets its name', () => {
  let name = 'nvme0n1';
  const d = disk({}, { host: { blockDeviceName: () => name } });
  d.issue(1000, 'R', 64, 8);
  d.complete(1100, 'R', 64, 8);
  name = 'nvme1n1';
  for (let s = 0; s < 10; s++) d.probe.sweep?.();
  d.issue(2000, 'R', 64, 8);
  d.complete(2300, 'R', 64, 8);
  assert.equal(d.device('read', 'nvme0n1'), undefined);
  assert.deepEqual(d.device('read', 'nvme1n1'), { count: 1, sum: 300 });
});

test("our own requests count like any other: the numbers are the disk's", () => {
  const d = disk({ per_cpu: true }, { self: [1] });
  d.issue(1000, 'R', 64, 8);
  d.complete(1100, 'R', 64, 8);
  assert.deepEqual(d.durations(DEVICE, 'disk3', 'read', '0'), { count: 1, sum: 100 });
  assert.equal(d.ignored(), 0);
});

test('what the sink gets of a request that was put back and completed in parts', () => {
  const reports: BlockRequest[] = [];
  const d = disk({}, { intervals: { block: { ended: (request) => void reports.push({ ...request }) } } });
  const feed = (event: string, ts: number, cpu: number, more: Record<string, number>) =>
    d.feed(`block:block_rq_${event}`, { ts, cpu, rwbs: 'WS', sector: 2048, nr_sector: 8, dev: DEV, ...more });
  feed('insert', 1000, 0, { by: 7 });
  feed('issue', 1500, 0, { by: 8 });
  feed('requeue', 1600, 0, { by: 8 });
  feed('issue', 2600, 2, { by: 9 });
  feed('complete', 3000, 1, { nr_sector: 6, by: 70, flags: 0x08 });
  feed('complete', 3500, 1, { sector: 2054, nr_sector: 2, by: 70 });
  feed('issue', 4000, 0, { by: 8 });
  feed('complete', 4500, 3, { by: 70, flags: 0x10 });
  assert.deepEqual(reports, [
    {
      device: 'disk3',
      operation: 'write',
      bytes: 4096,
      sector: 2048,
      insertNs: 1000,
      issueNs: 2600,
      completeNs: 3500,
      pid: 7,
      issueCpu: 2,
      issuer: 9,
      cpu: 1,
      completer: 70,
      errno: 0,
    },
    {
      device: 'disk3',
      operation: 'write',
      bytes: 4096,
      sector: 2048,
      insertNs: 0,
      issueNs: 4000,
      completeNs: 4500,
      pid: 8,
      issueCpu: 0,
      issuer: 8,
      cpu: 3,
      completer: 0,
      errno: 0,
    },
  ]);
});

test('with only completions there are bytes and errors', () => {
  const d = disk({}, { events: ['block:block_rq_complete'] });
  d.complete(1000, 'R', 64, 8, DEV, -5);
  assert.equal(d.bytes('read'), 4096);
  assert.equal(d.value(ERRORS, 'disk3', 'read'), 1);
  assert.equal(d.device('read'), undefined);
  assert.deepEqual(d.unmatched, {});
});

test('without requeues a request that is issued again is the same one', () => {
  const d = disk({}, { events: ['block:block_rq_issue', 'block:block_rq_complete'] });
  d.issue(1000, 'R', 64, 8);
  d.issue(9000, 'R', 64, 8);
  d.complete(9500, 'R', 64, 8);
  d.issue(20_000, 'R', 64, 8);
  d.complete(20_100, 'R', 64, 8);
  assert.deepEqual(d.device('read'), { count: 2, sum: 600 });
  assert.equal(d.queue('read'), undefined);
  assert.deepEqual(d.unmatched, {});
});
