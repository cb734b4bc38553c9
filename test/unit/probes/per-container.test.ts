/** Probes about tasks with series by container. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import { type ContainerLabels, FIRST_CONTAINER, KERNEL } from '../../../src/model/containers.ts';
import { block } from '../../../src/probes/block.ts';
import { blocked } from '../../../src/probes/blocked.ts';
import { filesystem } from '../../../src/probes/filesystem.ts';
import { locks } from '../../../src/probes/locks.ts';
import { memory } from '../../../src/probes/memory.ts';
import type { ProbeModule } from '../../../src/probes/probe.ts';
import { syscalls } from '../../../src/probes/syscalls.ts';
import { declared } from './declared.ts';
import { fakeContainers } from './fake-containers.ts';
import { countSamples, run } from './records.ts';

const A: ContainerLabels = ['shop', 'web-0', 'a'];
const B: ContainerLabels = ['shop', 'db-0', 'b'];
const [IN_A, IN_B] = [FIRST_CONTAINER, FIRST_CONTAINER + 1];
const OTHER = ['', '', 'other'];
const DURATION = 'ftrace_syscall_duration_seconds';
const READ = 0;
const IN_SOFTIRQ = 0x10;

/** Task 10 is in container a, 20 is in b, 4 belongs to the kernel, and 90 is unknown. */
function tasks(named: (ContainerLabels | undefined)[] = [A, B]) {
  const containers = fakeContainers(named);
  containers.table[10] = IN_A;
  containers.table[20] = IN_B;
  containers.table[4] = KERNEL;
  return containers;
}

function calls(named?: (ContainerLabels | undefined)[], options: Record<string, unknown> = {}) {
  const containers = tasks(named);
  const h = run(syscalls, { per_container: true, ...options }, { host: { containers } });
  return {
    ...h,
    containers,
    call: (by: number, ns: number, id = READ, ret = 0) => {
      h.feed('raw_syscalls:sys_enter', { ts: 1000, by, id });
      h.feed('raw_syscalls:sys_exit', { ts: 1000 + ns, by, id, ret });
    },
    reads: (labels: readonly string[]) => h.durations(DURATION, 'read', ...labels),
  };
}

describe('syscalls', () => {
  test('durations, errors and waiting time are those of the container of the caller', () => {
    const s = calls();
    s.call(10, 100);
    s.call(20, 200, READ, -11);
    s.call(90, 400);
    s.feed('raw_syscalls:sys_enter', { ts: 1000, by: 10, id: READ });
    s.feed('sched:sched_switch', { ts: 1100, prev_pid: 10, prev_state: 1 });
    s.feed('raw_syscalls:sys_exit', { ts: 1500, by: 10, id: READ, ret: 1 });
    assert.deepEqual(s.reads(A), { count: 2, sum: 600 });
    assert.deepEqual(s.reads(B), { count: 1, sum: 200 });
    assert.deepEqual(s.reads(OTHER), { count: 1, sum: 400 });
    assert.equal(s.value('ftrace_syscall_errors_total', 'read', 'EAGAIN', ...B), 1);
    assert.equal(s.value('ftrace_syscall_errors_total', 'read', 'EAGAIN', ...A), undefined);
    assert.equal(s.value('ftrace_syscall_waiting_seconds_total', 'read', ...A), 500);
  });

  test('200 containers with the defaults stay within the samples of docs/sizing.md', () => {
    const named = Array.from({ length: 200 }, (_, i): ContainerLabels => ['shop', `web-${i}`, 'a']);
    const s = calls(named);
    for (const i of named.keys()) s.containers.table[1000 + i] = FIRST_CONTAINER + i;
    for (const id of [READ, 1, 3])
      for (const i of named.keys()) {
        s.call(1000 + i, 100, id);
        s.call(1000 + i, 100, id, -11);
        s.feed('raw_syscalls:sys_enter', { ts: 1000, by: 1000 + i, id });
        s.feed('sched:sched_switch', { ts: 1100, prev_pid: 1000 + i, prev_state: 1 });
        s.feed('raw_syscalls:sys_exit', { ts: 1500, by: 1000 + i, id, ret: 1 });
      }
    const samples = countSamples(s.store);
    assert.ok(samples > 5_000 && samples <= 5_500, `${samples} samples`);
  });

  test('without a table of containers, series are those without per_container', () => {
    const h = run(syscalls, { per_container: true });
    h.feed('raw_syscalls:sys_enter', { ts: 1000, by: 10, id: READ });
    h.feed('raw_syscalls:sys_exit', { ts: 1100, by: 10, id: READ, ret: 0 });
    assert.deepEqual(h.durations(DURATION, 'read'), { count: 1, sum: 100 });
  });

  test('past max_series, containers share a series, which stays when one of them ends', () => {
    const s = calls([A, B], { max_series: 1 });
    s.call(10, 100);
    s.call(20, 200);
    s.call(90, 300);
    const other = ['other', 'other', 'other', 'other'];
    assert.deepEqual(s.durations(DURATION, ...other), { count: 2, sum: 500 });
    s.containers.release(IN_B);
    assert.deepEqual(s.durations(DURATION, ...other), { count: 2, sum: 500 });
    s.containers.release(IN_A);
    s.containers.named[1] = B;
    s.call(20, 50);
    assert.deepEqual(s.reads(B), { count: 1, sum: 50 }, 'there is room again');
  });
});

describe('a container', () => {
  test('has its series when its name is known, with all values since its start', () => {
    const s = calls([undefined, B]);
    s.call(10, 100);
    s.call(10, 5000);
    assert.equal(s.reads(A), undefined);
    assert.equal(s.reads(['', '', '']), undefined);
    s.containers.named[0] = A;
    assert.deepEqual(s.reads(A), { count: 2, sum: 5100 });
    s.call(10, 100);
    assert.deepEqual(s.reads(A), { count: 3, sum: 5200 });
  });

  test('has no series after its slot was released; the next one in the slot begins at 0', () => {
    const s = calls();
    s.call(10, 100);
    s.call(20, 100);
    s.containers.release(IN_A);
    assert.equal(s.reads(A), undefined);
    assert.deepEqual(s.reads(B), { count: 1, sum: 100 });
    const next: ContainerLabels = ['shop', 'web-1', 'a'];
    s.containers.named[0] = next;
    s.call(10, 300);
    assert.deepEqual(s.reads(next), { count: 1, sum: 300 });
    assert.equal(s.reads(A), undefined);
  });

  test('goes on in the same series after a restart, also when the slot of its first life is released', () => {
    const s = calls([A, undefined]);
    s.call(10, 100);
    s.call(20, 200);
    s.containers.named[1] = A;
    assert.deepEqual(s.reads(A), { count: 2, sum: 300 });
    s.containers.release(IN_A);
    s.call(20, 200);
    assert.deepEqual(s.reads(A), { count: 3, sum: 500 });
  });

  test('that ends before its name is known counts as other', () => {
    const s = calls([undefined, B]);
    s.call(90, 1);
    s.call(10, 100);
    s.containers.release(IN_A);
    assert.deepEqual(s.reads(OTHER), { count: 2, sum: 101 });
  });
});

describe('block', () => {
  const DEVICE = 'ftrace_block_io_device_seconds';
  const request = { rwbs: 'R', sector: 64, nr_sector: 8, dev: 3 };
  const disk = () => run(block, { per_container: true }, { host: { containers: tasks() } });

  test('a request counts for the task that asked for it, wherever it is issued and completed', () => {
    const h = disk();
    h.feed('block:block_rq_insert', { ts: 1000, by: 10, ...request });
    h.feed('block:block_rq_issue', { ts: 1500, by: 4, ...request });
    h.feed('block:block_rq_complete', { ts: 3500, by: 20, flags: IN_SOFTIRQ, error: -5, ...request });
    assert.deepEqual(h.durations('ftrace_block_io_queue_seconds', 'disk3', 'read', ...A), {
      count: 1,
      sum: 500,
    });
    assert.deepEqual(h.durations(DEVICE, 'disk3', 'read', ...A), { count: 1, sum: 2000 });
    assert.equal(h.value('ftrace_block_io_bytes_total', 'disk3', 'read', ...A), 4096);
    assert.equal(h.value('ftrace_block_io_errors_total', 'disk3', 'read', ...A), 1);
    assert.equal(h.durations(DEVICE, 'disk3', 'read', ...B), undefined);
  });

  test('requests from threads of the kernel and from interrupts are the kernel’s', () => {
    const h = disk();
    h.feed('block:block_rq_issue', { ts: 1000, by: 4, ...request });
    h.feed('block:block_rq_complete', { ts: 1500, ...request });
    h.feed('block:block_rq_issue', { ts: 2000, by: 10, flags: IN_SOFTIRQ, ...request });
    h.feed('block:block_rq_complete', { ts: 2500, ...request });
    assert.deepEqual(h.durations(DEVICE, 'disk3', 'read', '', '', 'kernel'), { count: 2, sum: 1000 });
  });

  test('a request that was put back stays that of its task', () => {
    const h = disk();
    h.feed('block:block_rq_issue', { ts: 1000, by: 10, ...request });
    h.feed('block:block_rq_requeue', { ts: 1500, by: 4, ...request });
    h.feed('block:block_rq_issue', { ts: 2000, by: 4, ...request });
    h.feed('block:block_rq_complete', { ts: 2600, ...request });
    assert.equal(h.value('ftrace_block_io_requeues_total', 'disk3', 'read', ...A), 1);
    assert.deepEqual(h.durations(DEVICE, 'disk3', 'read', ...A), { count: 1, sum: 600 });
    assert.equal(h.value('ftrace_block_io_errors_total', 'disk3', 'read', ...A), 0, 'errors start at 0');
    assert.equal(h.value('ftrace_block_io_errors_total', 'disk3', 'read', ...B), undefined);
  });
});

describe('declared metrics', () => {
  const machine = () => ({ host: { containers: tasks() } });

  test('a pair of a task counts for its container', () => {
    const start = 'vmscan:mm_vmscan_direct_reclaim_begin';
    const end = 'vmscan:mm_vmscan_direct_reclaim_end';
    const h = declared(
      { name: 'reclaim_seconds', start, end, per_container: true, labels: { order: 'start.order' } },
      machine(),
    );
    h.feed(start, { ts: 1000, by: 10, order: 3 });
    h.feed(end, { ts: 1300, by: 10 });
    assert.deepEqual(h.durations('ftrace_reclaim_seconds', '3', ...A), { count: 1, sum: 300 });
  });

  test('an event in an interrupt is the kernel’s, not of the task that it came upon', () => {
    const event = 'vmscan:mm_vmscan_throttled';
    const h = declared({ name: 'throttled_total', event, per_container: true }, machine());
    h.feed(event, { ts: 1, by: 20 });
    h.feed(event, { ts: 2, by: 10, flags: IN_SOFTIRQ });
    assert.equal(h.value('ftrace_throttled_total', ...B), 1);
    assert.equal(h.value('ftrace_throttled_total', '', '', 'kernel'), 1);
    assert.equal(h.value('ftrace_throttled_total', ...A), undefined);
  });

  test('a maximum has its series when the name of the container is known', () => {
    const containers = tasks([undefined, undefined]);
    const max = { field: 'usec_delayed', unit: 'us' };
    const event = 'vmscan:mm_vmscan_throttled';
    const h = declared(
      { name: 'throttled_max_seconds', event, max, per_container: true },
      { host: { containers } },
    );
    h.feed(event, { ts: 1, by: 10, usec_delayed: 7 });
    h.feed(event, { ts: 2, by: 20, usec_delayed: 5 });
    assert.equal(h.samples(), 0);
    containers.named[0] = A;
    assert.equal(h.samples(), 1);
    assert.equal(h.value('ftrace_throttled_max_seconds', ...A), 7000);
  });

  test('the probes made of them: the victim of the OOM killer, the task that is woken', () => {
    const m = run(memory, { per_container: true }, machine());
    m.feed('oom:mark_victim', { ts: 1, by: 10, pid: 20 });
    assert.equal(m.value('ftrace_memory_oom_kills_total', ...B), 1);
    const s = run(blocked, { per_container: true }, machine());
    s.feed('sched:sched_switch', { ts: 1000, by: 20, prev_pid: 20, prev_state: 2 });
    s.feed('sched:sched_wakeup', { ts: 1700, by: 10, pid: 20 });
    assert.deepEqual(s.durations('ftrace_blocked_seconds', ...B), { count: 1, sum: 700 });
    const l = run(locks, { per_container: true }, machine());
    l.feed('lock:contention_begin', { ts: 1000, by: 10, lock_addr: 1n });
    l.feed('lock:contention_end', { ts: 1200, by: 10, lock_addr: 1n });
    assert.deepEqual(l.durations('ftrace_lock_contention_seconds', 'semaphore', ...A), {
      count: 1,
      sum: 200,
    });
  });

  test('those about no task keep their labels', () => {
    const h = run(memory, { per_container: true }, machine());
    h.feed('vmscan:mm_vmscan_kswapd_wake', { ts: 1000, by: 60, nid: 1 });
    h.feed('vmscan:mm_vmscan_kswapd_sleep', { ts: 1500, by: 60, nid: 1 });
    assert.equal(h.value('ftrace_memory_kswapd_seconds_total', '1'), 500);
  });

  test('per_container is refused for a metric about no task', () => {
    const [start, end] = ['vmscan:mm_vmscan_kswapd_wake', 'vmscan:mm_vmscan_kswapd_sleep'];
    assert.throws(
      () => declared({ name: 'kswapd_seconds', start, end, key: 'nid', per_container: true }),
      /per_container is only for metrics of tasks/,
    );
    const event = 'vmscan:mm_vmscan_throttled';
    assert.throws(
      () => declared({ name: 'throttled_total', event, count_in: 'kernel', per_container: true }),
      /per_container is not possible with count_in: kernel/,
    );
  });
});

test('per_cpu and per_container together are refused', () => {
  const modules = [syscalls, block, memory, locks, filesystem, blocked] as unknown as ProbeModule[];
  for (const { name, schema } of modules) {
    assert.equal(schema(schemaKit).safeParse({ per_container: true }).success, true, name);
    const both = schema(schemaKit).safeParse({ per_cpu: true, per_container: true });
    assert.match(both.error?.issues[0].message ?? '', /cannot be used together/, name);
  }
  const event = 'vmscan:mm_vmscan_throttled';
  assert.throws(
    () => declared({ name: 'throttled_total', event, per_cpu: true, per_container: true }),
    /cannot be used together/,
  );
});
