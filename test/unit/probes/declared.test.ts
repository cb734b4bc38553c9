import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRST_CONTAINER, SYSTEM } from '../../../src/model/containers.ts';
import { declared } from './declared.ts';
import { fakeContainers } from './fake-containers.ts';
import type { RecordFields } from './records.ts';

const RECLAIM_BEGIN = 'vmscan:mm_vmscan_direct_reclaim_begin';
const RECLAIM_END = 'vmscan:mm_vmscan_direct_reclaim_end';
const RECLAIM = 'ftrace_reclaim_seconds';

function reclaim(more: Record<string, unknown> = {}, machine = {}) {
  const h = declared({ name: 'reclaim_seconds', start: RECLAIM_BEGIN, end: RECLAIM_END, ...more }, machine);
  return {
    ...h,
    begin: (ts: number, by: number, order = 0, cpu = 0) => h.feed(RECLAIM_BEGIN, { ts, by, order, cpu }),
    end: (ts: number, by: number, cpu = 0) => h.feed(RECLAIM_END, { ts, by, nr_reclaimed: 32, cpu }),
  };
}

describe('a pair', () => {
  test('is paired by task, on whatever CPU, with labels of its start', () => {
    const s = reclaim({ labels: { order: 'start.order' } });
    s.begin(1000, 7, 3);
    s.begin(1100, 8, 0, 1);
    s.end(1500, 7, 1);
    s.end(1700, 8);
    assert.deepEqual(s.durations(RECLAIM, '3'), { count: 1, sum: 500 });
    assert.deepEqual(s.durations(RECLAIM, '0'), { count: 1, sum: 600 });
    assert.deepEqual(s.unmatched, {});
  });

  test('counts what does not pair, by reason', () => {
    const s = reclaim();
    s.end(900, 7);
    s.begin(1000, 7);
    s.begin(1100, 7);
    s.end(1200, 7);
    s.begin(1500, 7);
    s.end(1400, 7);
    assert.deepEqual(s.durations(RECLAIM), { count: 1, sum: 100 });
    assert.deepEqual(s.unmatched, { no_start: 1, no_end: 1, late: 1 });
  });

  test('is void across a loss on any CPU', () => {
    const s = reclaim();
    s.begin(1000, 7);
    s.begin(1000, 8);
    s.probe.onLoss?.(1, 2000);
    s.end(2100, 7);
    s.begin(2200, 8);
    s.end(2300, 8);
    assert.deepEqual(s.durations(RECLAIM), { count: 1, sum: 100 });
    assert.deepEqual(s.unmatched, { lost: 2 });
  });

  test('leaves out the own threads', () => {
    const s = reclaim({}, { self: [7] });
    s.begin(1000, 7);
    s.end(1100, 7);
    assert.equal(s.ignored(), 2);
    assert.deepEqual(s.durations(RECLAIM), { count: 0, sum: 0 });
  });

  test('nests: the first start, or each its own', () => {
    for (const [nested, count, sum] of [
      ['replace', 1, 100],
      ['first', 1, 300],
      ['stack', 2, 600],
    ] as const) {
      const s = reclaim({ nested });
      s.begin(1000, 7);
      s.begin(1200, 7);
      s.end(1300, 7);
      s.end(1500, 7);
      assert.deepEqual(s.durations(RECLAIM), { count, sum }, nested);
      assert.deepEqual(
        s.unmatched,
        { replace: { no_end: 1, no_start: 1 }, first: { no_start: 1 }, stack: {} }[nested],
        nested,
      );
    }
  });

  test('counts the time as a counter if its name ends in _total', () => {
    const s = declared({ name: 'reclaim_seconds_total', start: RECLAIM_BEGIN, end: RECLAIM_END });
    assert.equal(s.value('ftrace_reclaim_seconds_total'), 0);
    s.feed(RECLAIM_BEGIN, { ts: 1000, by: 7 });
    s.feed(RECLAIM_END, { ts: 1400, by: 7 });
    assert.equal(s.value('ftrace_reclaim_seconds_total'), 400);
  });
});

describe('keys', () => {
  const BEGIN = 'lock:contention_begin';
  const END = 'lock:contention_end';
  const lock = 0xffff_8880_1234_5678n;

  test('a list of fields, with all 64 bits of a pointer', () => {
    const s = declared({ name: 'lock_seconds', start: BEGIN, end: END, key: ['common_pid', 'lock_addr'] });
    s.feed(BEGIN, { ts: 1000, by: 7, lock_addr: lock, flags: 0 });
    s.feed(BEGIN, { ts: 1100, by: 7, lock_addr: lock + 8n, flags: 0 });
    s.feed(END, { ts: 1200, by: 7, lock_addr: lock, ret: 0 });
    assert.deepEqual(s.durations('ftrace_lock_seconds'), { count: 1, sum: 200 });
    s.feed(END, { ts: 1200, by: 8, lock_addr: lock + 8n, ret: 0 });
    assert.deepEqual(s.unmatched, { no_start: 1 });
  });

  test('cpu: a loss voids only its own', () => {
    const s = declared({
      name: 'idle_seconds',
      start: 'power:cpu_idle',
      end: 'irq:irq_handler_entry',
      key: 'cpu',
    });
    s.feed('power:cpu_idle', { ts: 1000, cpu: 0 });
    s.feed('power:cpu_idle', { ts: 1000, cpu: 1 });
    s.probe.onLoss?.(0, 1500);
    s.feed('irq:irq_handler_entry', { ts: 2000, cpu: 0 });
    s.feed('irq:irq_handler_entry', { ts: 2000, cpu: 1 });
    assert.deepEqual(s.durations('ftrace_idle_seconds'), { count: 1, sum: 1000 });
    assert.deepEqual(s.unmatched, { lost: 1 });
  });

  test('fields with other names and sizes in the end, and masks', () => {
    const s = declared({
      name: 'blocked_seconds',
      start: { event: 'sched:sched_switch', where: 'prev_state & 2' },
      end: 'sched:sched_wakeup',
      key: { start: 'prev_pid', end: 'pid' },
      ends_alone: true,
    });
    s.feed('sched:sched_switch', { ts: 1000, prev_pid: 7, prev_state: 2 });
    s.feed('sched:sched_switch', { ts: 1000, prev_pid: 8, prev_state: 1 });
    s.feed('sched:sched_wakeup', { ts: 1300, pid: 7 });
    s.feed('sched:sched_wakeup', { ts: 1300, pid: 8 });
    assert.deepEqual(s.durations('ftrace_blocked_seconds'), { count: 1, sum: 300 });
    assert.deepEqual(s.unmatched, {});
    const masked = declared({
      name: 'x_seconds',
      start: BEGIN,
      end: END,
      key: { field: 'lock_addr', mask: 0xff },
    });
    masked.feed(BEGIN, { ts: 1000, lock_addr: 0x5501n });
    masked.feed(END, { ts: 1100, lock_addr: 0x6601n });
    assert.deepEqual(masked.durations('ftrace_x_seconds'), { count: 1, sum: 100 });
  });

  test('the CPU of one event, and a field of 64 bits of the other', () => {
    const sides = [
      { start: 'lock_addr', end: 'cpu' },
      { start: 'cpu', end: 'lock_addr' },
    ];
    for (const side of sides) {
      const s = declared({ name: 'lock_seconds', start: BEGIN, end: END, key: [side, 'common_pid'] });
      s.feed(BEGIN, { ts: 1000, by: 7, cpu: 2, lock_addr: 2n });
      s.feed(BEGIN, { ts: 1100, by: 8, cpu: 2, lock_addr: 2n });
      s.feed(END, { ts: 1200, by: 7, cpu: 2, lock_addr: 2n });
      assert.deepEqual(s.durations('ftrace_lock_seconds'), { count: 1, sum: 200 }, side.start);
    }
  });

  test('a table that is full gives up the older half', () => {
    const s = declared({ name: 'lock_seconds', start: BEGIN, end: END, key: 'lock_addr' });
    for (let i = 0; i <= 16384; i++) s.feed(BEGIN, { ts: 1000 + i, lock_addr: i, flags: 0 });
    assert.deepEqual(s.unmatched, { evicted: 8192 });
    s.feed(END, { ts: 30_000, lock_addr: 16384, ret: 0 });
    s.feed(END, { ts: 30_000, lock_addr: 0, ret: 0 });
    assert.deepEqual(s.durations('ftrace_lock_seconds'), { count: 1, sum: 30_000 - 17_384 });
    assert.deepEqual(s.unmatched, { evicted: 8192, no_start: 1 });
  });

  test('a text cannot be a key', () => {
    const event = 'workqueue:workqueue_queue_work';
    assert.throws(
      () => declared({ name: 'x_seconds', start: event, end: event, key: 'workqueue' }),
      /field workqueue of workqueue:workqueue_queue_work \(__data_loc char\) is not a number, so it cannot be a key/,
    );
  });
});

describe('single events', () => {
  const KFREE = 'skb:kfree_skb';
  const drop = (more: Partial<RecordFields>) => ({ ts: 1000, ...more }) as RecordFields;

  test('are counted by the names that the kernel prints, where a filter lets them', () => {
    const s = declared({
      name: 'drops_total',
      event: KFREE,
      where: 'reason > 2',
      labels: { reason: 'reason' },
    });
    s.feed(KFREE, drop({ reason: 2 }));
    s.feed(KFREE, drop({ reason: 3 }));
    s.feed(KFREE, drop({ reason: 3 }));
    s.feed(KFREE, drop({ reason: 1999 }));
    assert.equal(s.value('ftrace_drops_total', 'NO_SOCKET'), 2);
    assert.equal(s.value('ftrace_drops_total', '1999'), 1);
    assert.deepEqual(s.probe.filters, { [KFREE]: '(reason > 2)' });
  });

  test('without labels exist from the start, and leave out the own thread unless it is interrupted', () => {
    const s = declared({ name: 'drops_total', event: KFREE }, { self: [7] });
    assert.equal(s.value('ftrace_drops_total'), 0);
    s.feed(KFREE, drop({ by: 7 }));
    s.feed(KFREE, drop({ by: 7, flags: 16 }));
    assert.equal(s.value('ftrace_drops_total'), 1);
    assert.equal(s.ignored(), 1);
  });

  test('sum, maximum and buckets of a field', () => {
    const event = 'kmem:kmalloc';
    const sum = declared({
      name: 'kmalloc_bytes_total',
      event,
      sum: { field: 'bytes_alloc', unit: 'bytes' },
    });
    const max = declared({ name: 'kmalloc_max_bytes', event, max: { field: 'bytes_alloc', unit: 'bytes' } });
    const sizes = declared({
      name: 'kmalloc_bytes',
      event,
      value: { field: 'bytes_alloc', unit: 'bytes' },
      buckets: [64, 4096],
    });
    for (const s of [sum, max, sizes])
      for (const bytes of [64, 65, 8192]) s.feed(event, { ts: 1, bytes_alloc: bytes });
    assert.equal(sum.value('ftrace_kmalloc_bytes_total'), 8321);
    assert.equal(max.value('ftrace_kmalloc_max_bytes'), 8192);
    assert.deepEqual(sizes.durations('ftrace_kmalloc_bytes'), { count: 3, sum: 8321 });
    const spec = sizes.store
      .snapshot()
      .families.find((family) => family.spec.name === 'ftrace_kmalloc_bytes')?.spec;
    assert.deepEqual([spec?.divisor, spec?.unit, spec?.bounds], [1, 'bytes', [64, 4096]]);
  });

  test('durations that the event holds, in the unit of the field', () => {
    const event = 'vmscan:mm_vmscan_throttled';
    const s = declared({
      name: 'throttled_seconds',
      event,
      value: { field: 'usec_delayed', unit: 'us' },
      per_cpu: true,
    });
    s.feed(event, { ts: 1, usec_delayed: 250, cpu: 1 });
    assert.deepEqual(s.durations('ftrace_throttled_seconds', '1'), { count: 1, sum: 250_000 });
    const jiffies = declared({
      name: 'wait_seconds',
      event,
      value: { field: 'usec_delayed', unit: 'jiffies' },
    });
    jiffies.feed(event, { ts: 1, usec_delayed: 2 });
    assert.deepEqual(jiffies.durations('ftrace_wait_seconds'), { count: 1, sum: 8e6 });
  });
});

describe('labels', () => {
  test('a task in a field has a container, which gets its name later', () => {
    const containers = fakeContainers([['shop', 'web-0', 'app'], undefined]);
    containers.table[70] = FIRST_CONTAINER;
    containers.table[71] = FIRST_CONTAINER + 1;
    containers.table[5] = SYSTEM;
    const host = { containers };
    const label = { by: { field: 'next_pid', as: 'container' } };
    const s = declared({ name: 'x_total', event: 'sched:sched_switch', labels: label }, { host });
    for (const next_pid of [70, 71, 5, 5, 99]) s.feed('sched:sched_switch', { ts: 1, next_pid });
    const count = (by: string) => s.value('ftrace_x_total', by);
    assert.deepEqual(['shop/web-0/app', 'system', 'other', 'unknown'].map(count), [1, 2, 1, 1]);
    containers.named[1] = ['', '', 'nginx.service'];
    s.probe.sweep?.();
    s.feed('sched:sched_switch', { ts: 1, next_pid: 71 });
    assert.equal(count('nginx.service'), 1);
  });

  test('in all forms', () => {
    const cases: [event: string, label: unknown, values: RecordFields, want: string][] = [
      ['sched:sched_switch', 'next_comm', { ts: 1, next_comm: 'bash' }, 'bash'],
      ['sched:sched_switch', 'prev_state', { ts: 1, prev_state: 2 }, 'D'],
      ['sched:sched_switch', 'prev_state', { ts: 1, prev_state: 3 }, 'S|D'],
      [
        'lock:contention_begin',
        { field: 'lock_addr', as: 'hex' },
        { ts: 1, lock_addr: 0xffff_8880_1234_5678n },
        '0xffff888012345678',
      ],
      ['block:block_rq_issue', { field: 'dev', as: 'device' }, { ts: 1, dev: 3 }, 'disk3'],
      ['raw_syscalls:sys_exit', { field: 'ret', as: 'errno' }, { ts: 1, ret: -2n }, 'ENOENT'],
      ['raw_syscalls:sys_exit', { field: 'ret', as: 'errno' }, { ts: 1, ret: 12n }, 'ok'],
      ['raw_syscalls:sys_exit', { field: 'id', as: 'syscall' }, { ts: 1, id: 74n }, 'fsync'],
      ['irq:irq_handler_entry', { field: 'irq', as: 'irq' }, { ts: 1, irq: 30 }, 'eth0'],
      [
        'irq:irq_handler_entry',
        { field: 'irq', map: { 30: 'net' }, default: 'rest' },
        { ts: 1, irq: 30 },
        'net',
      ],
      [
        'irq:irq_handler_entry',
        { field: 'irq', map: { 30: 'net' }, default: 'rest' },
        { ts: 1, irq: 31 },
        'rest',
      ],
      ['irq:irq_handler_entry', { field: 'irq', map: { 30: 'net' } }, { ts: 1, irq: 31 }, '31'],
      ['irq:irq_handler_entry', { field: 'common_pid', as: 'comm' }, { ts: 1, by: 42 }, 'bash'],
      ['irq:irq_handler_entry', { field: 'common_pid', as: 'comm' }, { ts: 1, by: 43 }, 'unknown'],
      ['irq:irq_handler_entry', 'cpu', { ts: 1, cpu: 3 }, '3'],
      ['irq:irq_handler_entry', { as: 'cpu' }, { ts: 1, cpu: 2 }, '2'],
      [
        'workqueue:workqueue_execute_start',
        { field: 'function', as: 'symbol' },
        { ts: 1, function: 0x1000n },
        'work_1000',
      ],
      ['sched:sched_migrate_task', { field: 'dest_cpu', as: 'cpu' }, { ts: 1, dest_cpu: 5 }, '5'],
    ];
    const functions = { nameOf: (low: number) => `work_${low.toString(16)}`, generation: 0 };
    for (const [event, label, values, want] of cases) {
      const s = declared({ name: 'x_total', event, labels: { a: label } }, { functions });
      s.feed(event, values);
      assert.equal(s.value('ftrace_x_total', want), 1, `${event} ${JSON.stringify(label)}`);
    }
  });

  test('of both events and more than one, in the order of the config', () => {
    const s = declared({
      name: 'switch_seconds',
      start: 'sched:sched_switch',
      end: 'sched:sched_wakeup',
      key: { start: 'prev_pid', end: 'pid' },
      labels: { by: 'end.target_cpu', from: 'start.prev_comm', prio: 'end.prio' },
    });
    for (let i = 0; i < 3; i++) {
      s.feed('sched:sched_switch', { ts: 1000, prev_pid: 7, prev_comm: `c${i}` });
      s.feed('sched:sched_wakeup', { ts: 1100, pid: 7, target_cpu: i, prio: 120 });
      assert.deepEqual(s.durations('ftrace_switch_seconds', String(i), `c${i}`, '120'), {
        count: 1,
        sum: 100,
      });
    }
  });

  test('past max_series share other', () => {
    const event = 'irq:irq_handler_entry';
    const s = declared({ name: 'x_total', event, max_series: 3, labels: { irq: 'irq', name: 'name' } });
    for (let i = 0; i < 2000; i++) s.feed(event, { ts: 1, irq: i, name: `n${i}` });
    assert.equal(s.value('ftrace_x_total', '2', 'n2'), 1);
    assert.equal(s.value('ftrace_x_total', 'other', 'other'), 1997);
  });
});
