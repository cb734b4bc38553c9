import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { BLOCK_EVENT, BLOCK_FORMAT_TEXT } from '../../../src/decode/text/blk-format.ts';
import { blk } from '../../../src/probes/blk.ts';
import { type Machine, run } from './records.ts';

const ACTIONS = 'ftrace_blk_actions_total';
const FROM_QUEUE = 'ftrace_blk_queue_to_complete_seconds';
const FROM_ISSUE = 'ftrace_blk_issue_to_complete_seconds';
const DEV = (254 << 20) | 3;
const NO_SECTOR = 2n ** 64n - 1n;

function disk(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const b = run(blk, options, { formats: { [BLOCK_EVENT]: BLOCK_FORMAT_TEXT }, ...machine });
  return {
    ...b,
    /** Feeds a line of the tracer's text: action, letters, first sector, number of sectors. */
    line: (
      ts: number,
      action: string,
      rwbs: string,
      sector: number | bigint = 0,
      sectors = 0,
      { cpu = 0, dev = DEV } = {},
    ) => b.feed(BLOCK_EVENT, { ts, cpu, dev, action, rwbs, sector, nr_bytes: sectors * 512, error: 0 }),
    actions: (action: string, operation: string, cpu = '0', device = 'disk3') =>
      b.value(ACTIONS, device, action, operation, cpu),
    fromQueue: (operation: string, device = 'disk3') => b.durations(FROM_QUEUE, device, operation),
    fromIssue: (operation: string, device = 'disk3') => b.durations(FROM_ISSUE, device, operation),
  };
}

test('a write as 6.1 reports it: queued, got a request, plugged, unplugged, inserted, issued, completed', () => {
  const d = disk();
  d.line(100, 'Q', 'WS', 8, 8);
  d.line(110, 'G', 'WS', 8, 8);
  d.line(120, 'P', 'N');
  d.line(130, 'UT', 'N');
  d.line(140, 'I', 'WS', 8, 8);
  d.line(150, 'D', 'WS', 8, 8, { cpu: 1 });
  d.line(450, 'C', 'WS', 8, 8, { cpu: 2 });
  assert.deepEqual(d.fromQueue('write'), { count: 1, sum: 350 });
  assert.deepEqual(d.fromIssue('write'), { count: 1, sum: 300 });
  for (const action of ['queued', 'got_request', 'inserted'])
    assert.equal(d.actions(action, 'write'), 1, action);
  assert.equal(d.actions('issued', 'write', '1'), 1);
  assert.equal(d.actions('completed', 'write', '2'), 1);
  for (const action of ['plugged', 'unplugged_by_timer']) assert.equal(d.actions(action, 'other'), 1, action);
  assert.equal(d.actions('unplugged', 'other'), undefined);
  assert.deepEqual(d.unmatched, {});
});

test('what 6.12 reported about nine buffered writes and a flush, direct writes and reads', () => {
  const d = disk();
  const text = readFileSync(new URL('../../fixtures/tracers-6.12-rt/blk.txt', import.meta.url), 'utf8');
  const line = /\[(\d+)\] \S+ +(\d+)\.(\d{6}): 254,0 +([A-Z]+) +([A-Z]+) (?:(\d+) (?:\+ (\d+) )?)?/;
  let lines = 0;
  for (const one of text.split('\n')) {
    const [, cpu, s, us, action, rwbs, sector = '0', sectors = '0'] = line.exec(one) ?? [];
    if (cpu === undefined) continue;
    lines++;
    d.line(Number(s) * 1e9 + Number(us) * 1e3, action, rwbs, Number(sector), Number(sectors), {
      cpu: Number(cpu),
    });
  }
  assert.ok(lines > 60, `${lines} lines`);
  const count = (histogram: { count: number } | undefined) => histogram?.count;
  assert.deepEqual(
    ['write', 'read', 'flush', 'other'].map((o) => count(d.fromQueue(o))),
    [5, 4, 1, undefined],
  );
  assert.deepEqual(
    ['write', 'read', 'flush', 'other'].map((o) => count(d.fromIssue(o))),
    [5, 4, 1, undefined],
  );
  assert.ok(Math.abs((d.fromQueue('flush')?.sum ?? 0) - 82_815_000) < 1);
  const total = (action: string, operation: string) =>
    [0, 1].reduce((sum, cpu) => sum + (d.actions(action, operation, String(cpu)) ?? 0), 0);
  assert.deepEqual(
    [total('queued', 'write'), total('backmerged', 'write'), total('completed', 'write')],
    [9, 4, 5],
  );
  // The flush itself completes, and the bio that asked for it.
  assert.deepEqual(
    [total('queued', 'flush'), total('issued', 'flush'), total('completed', 'flush')],
    [1, 1, 2],
  );
  assert.deepEqual([total('plugged', 'other'), total('unplugged', 'other')], [9, 9]);
  assert.deepEqual(d.unmatched, {});
});

test('every action has its name', () => {
  const d = disk();
  const words = [
    ['M', 'backmerged'],
    ['F', 'frontmerged'],
    ['S', 'slept'],
    ['R', 'requeued'],
    ['U', 'unplugged'],
    ['X', 'split'],
    ['B', 'bounced'],
    ['A', 'remapped'],
    ['Z', 'other'],
    ['UU', 'other'],
    ['', 'other'],
  ];
  const counts = new Map<string, number>();
  for (const [letters, word] of words) {
    d.line(1, letters, 'R', 8, 8);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  for (const [word, count] of counts) assert.equal(d.actions(word, 'read'), count, word);
});

test('a bio merged into another has no completion of its own', () => {
  const d = disk();
  d.line(100, 'Q', 'R', 0, 8);
  d.line(110, 'Q', 'R', 8, 8);
  d.line(111, 'M', 'R', 8, 8);
  d.line(200, 'D', 'R', 0, 16);
  d.line(300, 'C', 'R', 0, 16);
  assert.deepEqual(d.fromQueue('read'), { count: 1, sum: 200 });
  assert.deepEqual(d.fromIssue('read'), { count: 1, sum: 100 });
  // The merged request is forgotten, so another one at the same sector is measured separately.
  d.line(400, 'Q', 'R', 8, 8);
  d.line(500, 'C', 'R', 8, 8);
  assert.deepEqual(d.fromQueue('read'), { count: 2, sum: 300 });
  assert.deepEqual(d.unmatched, {});
});

test('a bio merged in front gives the request its sector', () => {
  const d = disk();
  d.line(100, 'Q', 'R', 8, 8);
  d.line(110, 'Q', 'R', 0, 8);
  d.line(111, 'F', 'R', 0, 8);
  d.line(200, 'D', 'R', 0, 16);
  d.line(300, 'C', 'R', 0, 16);
  assert.deepEqual(d.fromQueue('read'), { count: 1, sum: 190 });
  d.line(400, 'C', 'R', 8, 8);
  assert.deepEqual(d.unmatched, { no_start: 1 });
});

test('a completion in parts is one, timed to its last', () => {
  const d = disk();
  d.line(100, 'Q', 'R', 0, 16);
  d.line(200, 'D', 'R', 0, 16);
  d.line(300, 'C', 'R', 0, 8);
  assert.equal(d.fromIssue('read'), undefined);
  d.line(400, 'C', 'R', 8, 8);
  assert.deepEqual(d.fromQueue('read'), { count: 1, sum: 300 });
  assert.deepEqual(d.fromIssue('read'), { count: 1, sum: 200 });
});

test('a request that is put back is issued again', () => {
  const d = disk();
  d.line(100, 'Q', 'W', 0, 8);
  d.line(200, 'D', 'W', 0, 8);
  d.line(210, 'R', 'W', 0, 8);
  d.line(250, 'D', 'W', 0, 8);
  d.line(300, 'C', 'W', 0, 8);
  assert.deepEqual(d.fromIssue('write'), { count: 1, sum: 50 });
  assert.deepEqual(d.fromQueue('write'), { count: 1, sum: 200 });
});

test('a part split off is issued but was not queued; without requests it is the other way round', () => {
  const d = disk();
  d.line(200, 'D', 'R', 64, 8);
  d.line(300, 'C', 'R', 64, 8);
  d.line(400, 'Q', 'W', 0, 8);
  d.line(600, 'C', 'W', 0, 8);
  assert.deepEqual(d.fromIssue('read'), { count: 1, sum: 100 });
  assert.equal(d.fromQueue('read'), undefined);
  assert.deepEqual(d.fromQueue('write'), { count: 1, sum: 200 });
  assert.equal(d.fromIssue('write'), undefined);
  assert.deepEqual(d.unmatched, {});
  d.line(700, 'C', 'W', 8, 8);
  assert.deepEqual(d.unmatched, { no_start: 1 });
});

test('a flush has no data and no sector; a write in flight at sector 0 is another', () => {
  const d = disk();
  d.line(50, 'D', 'W', 0, 8);
  d.line(100, 'Q', 'FWS');
  d.line(150, 'D', 'FF');
  d.line(400, 'C', 'FF', NO_SECTOR);
  d.line(401, 'C', 'WFS');
  assert.deepEqual(d.fromQueue('flush'), { count: 1, sum: 300 });
  assert.deepEqual(d.fromIssue('flush'), { count: 1, sum: 250 });
  assert.deepEqual(d.unmatched, {});
  d.line(1050, 'C', 'W', 0, 8);
  assert.deepEqual(d.fromIssue('write'), { count: 1, sum: 1000 });
});

test('commands for the device itself are counted, not timed', () => {
  const d = disk();
  d.line(100, 'D', 'N', 0, 1);
  d.line(200, 'C', 'N');
  assert.equal(d.actions('issued', 'other'), 1);
  assert.equal(d.actions('completed', 'other'), 1);
  assert.equal(d.fromIssue('other'), undefined);
  d.line(700e9, 'P', 'N');
  d.probe.sweep?.();
  assert.deepEqual(d.unmatched, {});
});

test('a loss on any CPU discards what began before its end', () => {
  const d = disk();
  d.line(100, 'Q', 'R', 0, 8);
  d.line(110, 'D', 'R', 0, 8);
  d.probe.onLoss?.(1, 200);
  d.line(300, 'C', 'R', 0, 8);
  assert.equal(d.fromQueue('read'), undefined);
  assert.equal(d.fromIssue('read'), undefined);
  assert.deepEqual(d.unmatched, { lost: 2 });
  d.line(400, 'D', 'R', 0, 8);
  d.line(500, 'C', 'R', 0, 8);
  assert.deepEqual(d.fromIssue('read'), { count: 1, sum: 100 });
});

test('negative times are not recorded; what never completes expires', () => {
  const d = disk();
  d.line(500, 'Q', 'R', 0, 8);
  d.line(500, 'D', 'R', 0, 8);
  d.line(400, 'C', 'R', 0, 8);
  assert.deepEqual(d.unmatched, { late: 2 });
  d.line(1000, 'Q', 'R', 64, 8);
  d.line(700e9, 'P', 'N');
  d.probe.sweep?.();
  assert.deepEqual(d.unmatched, { late: 2, evicted: 1 });
});

test('devices that the config excludes are left out, and max_series holds', () => {
  const d = disk({ devices: ['disk3'] });
  d.line(1, 'Q', 'R', 0, 8, { dev: (254 << 20) | 4 });
  assert.equal(d.actions('queued', 'read', '0', 'disk4'), undefined);
  const one = disk({ max_series: 1 });
  one.line(1, 'Q', 'R', 0, 8);
  one.line(1, 'Q', 'R', 0, 8, { dev: (254 << 20) | 4 });
  assert.equal(one.actions('queued', 'read', '0', 'other'), 1);
});

test('a device that is gone takes its series along', () => {
  let there = true;
  const d = disk({}, { host: { blockDeviceExists: () => there } });
  d.line(1, 'Q', 'R', 0, 8);
  d.line(2, 'C', 'R', 0, 8);
  there = false;
  for (let i = 0; i < 320; i++) d.probe.sweep?.();
  assert.equal(d.actions('queued', 'read'), undefined);
  assert.equal(d.fromQueue('read'), undefined);
  d.line(3, 'Q', 'R', 0, 8);
  assert.equal(d.actions('queued', 'read'), 1);
});

test('the request to the tracer', () => {
  const request = blk.tracer?.(blk.schema(schemaKit).parse({ devices: ['vd?'] }));
  assert.equal(request?.where, 'top');
  assert.equal(request?.reads, 'text');
  assert.deepEqual(request?.blockDevices, ['vd?']);
});
