/** The probes that consist of declared metrics, each with its unusual cases. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { blocked } from '../../../src/probes/blocked.ts';
import { filesystem } from '../../../src/probes/filesystem.ts';
import { idle } from '../../../src/probes/idle.ts';
import { isolation } from '../../../src/probes/isolation.ts';
import { kvm } from '../../../src/probes/kvm.ts';
import { locks } from '../../../src/probes/locks.ts';
import { memory } from '../../../src/probes/memory.ts';
import { network } from '../../../src/probes/network.ts';
import type { ProbeModule } from '../../../src/probes/probe.ts';
import { timers } from '../../../src/probes/timers.ts';
import { workqueue } from '../../../src/probes/workqueue.ts';
import { declaredProbes } from '../../support/declared-probes.ts';
import { fakeHost, run } from './records.ts';

const FORMATS = new URL('../../fixtures/formats-6.18/', import.meta.url);
const MACHINE = { clock: 'mono', machine: 'x86_64', kernelRelease: '', cpuCount: 1 };
const functions = { nameOf: (low: number) => `function_${low}`, generation: 0 };

describe('memory', () => {
  test('reclaim by kind, with the pages', () => {
    const s = run(memory);
    for (const kind of ['direct', 'memcg', 'node']) {
      s.feed(`vmscan:mm_vmscan_${kind}_reclaim_begin`, { ts: 1000, by: 7 });
      s.feed(`vmscan:mm_vmscan_${kind}_reclaim_end`, { ts: 1200, by: 7, nr_reclaimed: 32n });
      assert.deepEqual(s.durations('ftrace_memory_reclaim_seconds', kind), { count: 1, sum: 200 });
      assert.equal(s.value('ftrace_memory_reclaimed_pages_total', kind), 32);
    }
  });

  test('throttling, kswapd, dirty pages and OOM kills', () => {
    const s = run(memory);
    s.feed('vmscan:mm_vmscan_throttled', { ts: 1, usec_delayed: 20, reason: 8 });
    assert.deepEqual(s.durations('ftrace_memory_reclaim_throttled_seconds', 'congested'), {
      count: 1,
      sum: 20_000,
    });
    s.feed('vmscan:mm_vmscan_kswapd_wake', { ts: 1000, by: 60, nid: 1 });
    s.feed('vmscan:mm_vmscan_kswapd_wake', { ts: 1500, by: 60, nid: 1 });
    s.feed('vmscan:mm_vmscan_kswapd_sleep', { ts: 2000, by: 60, nid: 1 });
    assert.equal(s.value('ftrace_memory_kswapd_seconds_total', '1'), 1000);
    s.feed('writeback:balance_dirty_pages', { ts: 1, bdi: '8:0', pause: 0n });
    s.feed('writeback:balance_dirty_pages', { ts: 1, bdi: '8:0', pause: 12n });
    assert.deepEqual(s.durations('ftrace_memory_dirty_throttled_seconds', '8:0'), { count: 1, sum: 12e6 });
    assert.equal(s.value('ftrace_memory_oom_kills_total'), 0);
    s.feed('oom:mark_victim', { ts: 1, pid: 9 });
    assert.equal(s.value('ftrace_memory_oom_kills_total'), 1);
    assert.deepEqual(s.unmatched, {});
  });

  test('page faults only on demand', () => {
    assert.equal('exceptions:page_fault_user' in run(memory).probe.handlers, false);
    const s = run(memory, { page_faults: true });
    s.feed('exceptions:page_fault_user', { ts: 1, by: 7 });
    assert.equal(s.value('ftrace_memory_page_faults_total', 'user'), 1);
  });
});

describe('network', () => {
  test('retransmits, resets and drops by the names of the kernel, also where our own thread is interrupted', () => {
    const s = run(network, {}, { self: [7] });
    s.feed('tcp:tcp_retransmit_skb', { ts: 1, by: 7, family: 2, state: 1 });
    assert.equal(s.value('ftrace_tcp_retransmits_total', 'AF_INET', '1'), 1);
    s.feed('tcp:tcp_send_reset', { ts: 1, by: 7, reason: 1 });
    assert.equal(s.value('ftrace_tcp_resets_sent_total', 'NO_SOCKET'), 1);
    s.feed('skb:kfree_skb', { ts: 1, by: 7, reason: 3 });
    assert.equal(s.value('ftrace_packet_drops_total', 'NO_SOCKET'), 1);
  });

  test('a handshake is from SYN_SENT to ESTABLISHED of the same socket', () => {
    const s = run(network);
    const state = (ts: number, skaddr: bigint, oldstate: number, newstate: number) =>
      s.feed('sock:inet_sock_set_state', { ts, skaddr, oldstate, newstate, family: 10, protocol: 6 });
    state(1000, 1n, 7, 2);
    state(1100, 2n, 7, 2);
    state(1500, 1n, 2, 1);
    state(1600, 2n, 2, 7);
    state(1700, 3n, 3, 1);
    assert.deepEqual(s.durations('ftrace_tcp_connect_seconds', 'AF_INET6'), { count: 1, sum: 500 });
    assert.deepEqual(s.unmatched, {});
  });

  test('a round of NAPI uses its budget up, or not', () => {
    const s = run(network);
    for (const work of [3, 64]) s.feed('napi:napi_poll', { ts: 1, dev_name: 'eth0', work, budget: 64 });
    assert.equal(s.value('ftrace_napi_polls_total', 'eth0', 'left'), 1);
    assert.equal(s.value('ftrace_napi_polls_total', 'eth0', 'used_up'), 1);
  });
});

test('locks: a mutex that stops spinning begins again, but waits since the first begin', () => {
  const s = run(locks);
  s.feed('lock:contention_begin', { ts: 1000, by: 7, lock_addr: 1n });
  s.feed('lock:contention_begin', { ts: 1400, by: 7, lock_addr: 1n });
  s.feed('lock:contention_end', { ts: 2000, by: 7, lock_addr: 1n });
  assert.deepEqual(s.durations('ftrace_lock_contention_seconds', 'semaphore'), { count: 1, sum: 1000 });
  assert.deepEqual(s.unmatched, {});
});

test('filesystem: fsync of ext4, commits and FUSE', () => {
  const s = run(filesystem);
  s.feed('ext4:ext4_sync_file_enter', { ts: 1000, by: 7, dev: 3 });
  s.feed('ext4:ext4_sync_file_exit', { ts: 1300, by: 7, dev: 3 });
  assert.deepEqual(s.durations('ftrace_fsync_seconds', 'ext4', 'disk3'), { count: 1, sum: 300 });
  s.feed('jbd2:jbd2_start_commit', { ts: 1000, by: 8, dev: 3 });
  s.feed('jbd2:jbd2_end_commit', { ts: 1100, by: 8, dev: 3 });
  assert.deepEqual(s.durations('ftrace_journal_commit_seconds', 'disk3'), { count: 1, sum: 100 });
  // Requests of different connections can have the same number.
  s.feed('fuse:fuse_request_send', { ts: 1000, connection: 1, unique: 2n, opcode: 15 });
  s.feed('fuse:fuse_request_send', { ts: 1200, connection: 2, unique: 2n, opcode: 16 });
  s.feed('fuse:fuse_request_end', { ts: 1500, connection: 1, unique: 2n });
  assert.deepEqual(s.durations('ftrace_fuse_request_seconds', 'FUSE_READ'), { count: 1, sum: 500 });
});

test('workqueue: a wait by the work item, a run by its worker', () => {
  const s = run(workqueue, {}, { functions });
  s.feed('workqueue:workqueue_queue_work', { ts: 1000, by: 1, work: 5n, workqueue: 'events' });
  s.feed('workqueue:workqueue_execute_start', { ts: 1500, by: 9, work: 5n, function: 16n });
  // The work item is freed and queued again while it is running.
  s.feed('workqueue:workqueue_queue_work', { ts: 1600, by: 9, work: 5n, workqueue: 'events' });
  s.feed('workqueue:workqueue_execute_start', { ts: 1700, by: 10, work: 5n, function: 32n });
  s.feed('workqueue:workqueue_execute_end', { ts: 2000, by: 9, work: 5n });
  s.feed('workqueue:workqueue_execute_end', { ts: 2700, by: 10, work: 5n });
  assert.deepEqual(s.durations('ftrace_workqueue_latency_seconds', 'events'), { count: 2, sum: 600 });
  assert.deepEqual(s.durations('ftrace_workqueue_duration_seconds', 'function_16'), { count: 1, sum: 500 });
  assert.deepEqual(s.durations('ftrace_workqueue_duration_seconds', 'function_32'), { count: 1, sum: 1000 });
  assert.deepEqual(s.unmatched, {});
});

test('timers: late by the time that they should expire, whatever the trace clock; early is not late', () => {
  const s = run(timers);
  s.feed('timer:hrtimer_start', { ts: 10, hrtimer: 1n, expires: 5000n });
  s.feed('timer:hrtimer_start', { ts: 11, hrtimer: 1n, expires: 7000n });
  s.feed('timer:hrtimer_expire_entry', { ts: 12, hrtimer: 1n, now: 7100n });
  s.feed('timer:hrtimer_start', { ts: 13, hrtimer: 2n, expires: 9000n });
  s.feed('timer:hrtimer_expire_entry', { ts: 14, hrtimer: 2n, now: 8900n });
  s.feed('timer:timer_expire_entry', { ts: 15, now: 1002n, baseclk: 1000n });
  assert.deepEqual(s.durations('ftrace_timer_lateness_seconds', 'hrtimer'), { count: 2, sum: 100 });
  assert.deepEqual(s.durations('ftrace_timer_lateness_seconds', 'timer'), { count: 1, sum: 8e6 });
  assert.deepEqual(s.unmatched, {});
  const unknown = { ...fakeHost, jiffyNs: () => undefined };
  assert.throws(() => run(timers, {}, { host: unknown }), /the length of a jiffy is unknown/);
});

test('idle: from a state to the next event of the CPU', () => {
  const s = run(idle, { per_cpu: true });
  s.feed('power:cpu_idle', { ts: 1000, cpu: 1, state: 2 });
  s.feed('power:cpu_idle', { ts: 4000, cpu: 1, state: 4294967295 });
  assert.deepEqual(s.durations('ftrace_idle_seconds', '2', '1'), { count: 1, sum: 3000 });
  s.feed('power:cpu_idle_miss', { ts: 4000, cpu: 1, state: 2, below: 1 });
  assert.equal(s.value('ftrace_idle_misses_total', 'too_shallow', '1'), 1);
});

test('kvm: names of the reasons are of the CPU’s maker', () => {
  const s = run(kvm);
  for (const [isa, reason] of [
    [1, 12],
    [2, 120],
  ]) {
    s.feed('kvm:kvm_exit', { ts: 1000, by: 7, isa, exit_reason: reason });
    s.feed('kvm:kvm_entry', { ts: 1400, by: 7 });
  }
  assert.deepEqual(s.durations('ftrace_kvm_exit_seconds', 'HLT'), { count: 1, sum: 400 });
  assert.deepEqual(s.durations('ftrace_kvm_exit_seconds', 'hlt'), { count: 1, sum: 400 });
  assert.deepEqual(s.unmatched, {});
});

test('blocked: sleeps that are not interruptible', () => {
  const s = run(blocked);
  s.feed('sched:sched_switch', { ts: 1000, prev_pid: 7, prev_state: 2 });
  s.feed('sched:sched_switch', { ts: 1000, prev_pid: 8, prev_state: 0x80 });
  for (const pid of [7, 8]) s.feed('sched:sched_wakeup', { ts: 1900, pid });
  assert.deepEqual(s.durations('ftrace_blocked_seconds'), { count: 1, sum: 900 });
  assert.equal(s.value('ftrace_hung_tasks_total'), 0);
});

describe('isolation', () => {
  const INTERRUPTIONS = 'ftrace_isolation_interruptions_total';
  const SECONDS = 'ftrace_isolation_seconds_total';

  test('wants the CPUs', () => {
    assert.throws(() => run(isolation, { enabled: true }), /list the isolated CPUs/);
  });

  test('counts what happens there, and nothing elsewhere', () => {
    const s = run(isolation, { cpus: '2-3' }, { functions });
    for (const cpu of [1, 2]) {
      s.feed('irq:irq_handler_entry', { ts: 1000, cpu, irq: 30, name: 'eth0' });
      s.feed('irq:irq_handler_exit', { ts: 1500, cpu, irq: 30 });
      s.feed('irq_vectors:local_timer_entry', { ts: 2000, cpu });
      s.feed('irq_vectors:local_timer_exit', { ts: 2100, cpu });
      s.feed('nmi:nmi_handler', { ts: 3000, cpu, handler: 16n, delta_ns: 250n });
      s.feed('timer:tick_stop', { ts: 1, cpu, success: 0, dependency: 4 });
      s.feed('timer:tick_stop', { ts: 1, cpu, success: 1, dependency: 0 });
    }
    assert.equal(s.value(INTERRUPTIONS, '2', 'irq', 'eth0'), 1);
    assert.equal(s.value(INTERRUPTIONS, '1', 'irq', 'eth0'), undefined);
    assert.equal(s.value(SECONDS, '2', 'irq'), 500);
    assert.equal(s.value(INTERRUPTIONS, '2', 'timer', 'local_timer'), 1);
    assert.equal(s.value(SECONDS, '2', 'timer'), 100);
    assert.equal(s.value(INTERRUPTIONS, '2', 'nmi', 'function_16'), 1);
    assert.equal(s.value(SECONDS, '2', 'nmi'), 250);
    assert.equal(s.value('ftrace_isolation_tick_kept_total', '2', 'SCHED'), 1);
    assert.deepEqual(s.unmatched, {});
  });

  test('a task that could run is replaced by another, until that one leaves', () => {
    const s = run(isolation, { cpus: 2 });
    const change = (ts: number, prev: number, state: number, next: number) =>
      s.feed('sched:sched_switch', {
        ...{ ts, cpu: 2, prev_pid: prev, prev_state: state, prev_comm: `c${prev}` },
        ...{ next_pid: next, next_comm: `c${next}` },
      });
    change(1000, 7, 0, 9);
    change(1600, 9, 1, 7);
    change(2000, 7, 1, 0);
    change(3000, 0, 0, 7);
    assert.equal(s.value(INTERRUPTIONS, '2', 'thread', 'c9'), 1);
    assert.equal(s.value(INTERRUPTIONS, '2', 'thread', 'c7'), undefined);
    assert.equal(s.value(SECONDS, '2', 'thread'), 600);
    assert.deepEqual(s.unmatched, {});
  });

  test('a task that was preempted inside the kernel could run, too, on every kernel', () => {
    for (const kernel of ['5.10-rt', '6.1-rt', '6.12-rt', '7.3-rt', undefined]) {
      const directory = kernel === undefined ? '' : `../text/formats-${kernel}/`;
      const text = readFileSync(new URL(`${directory}sched/sched_switch`, FORMATS), 'utf8');
      const s = run(isolation, { cpus: 2 }, { formats: { 'sched:sched_switch': text } });
      // 0x100 is "preempted"; the other states are sleeps or the end of a task.
      for (const [i, state] of [0x100, 0x80, 0x40, 2].entries()) {
        const tasks = { prev_pid: 7 + i, next_pid: 8 + i, next_comm: `c${8 + i}` };
        s.feed('sched:sched_switch', { ts: 1000 + 500 * i, cpu: 2, prev_state: state, ...tasks });
      }
      assert.equal(s.value(INTERRUPTIONS, '2', 'thread', 'c8'), 1, kernel);
      assert.equal(s.value(INTERRUPTIONS, '2', 'thread', 'c9'), undefined, kernel);
      assert.equal(s.value(SECONDS, '2', 'thread'), 500, kernel);
      assert.deepEqual(s.unmatched, {});
    }
  });

  test('who sends IPIs to it', () => {
    // `cpu: 3` is the CPU that recorded the event. The event's own field `cpu`, the target, stays 0.
    const counts = [0, 1].map((cpu) => {
      const s = run(isolation, { cpus: cpu }, { functions });
      s.feed('ipi:ipi_send_cpu', { ts: 1, cpu: 3, callsite: 48n });
      return s.value('ftrace_isolation_ipis_sent_total', '0', 'function_48');
    });
    assert.deepEqual(counts, [1, undefined]);
  });
});

describe('a kernel that lacks events', () => {
  const statusOf = (module: ProbeModule, events: readonly string[]) => {
    const store = new MetricStore();
    const text = (event: string) =>
      events.includes(event) ? readFileSync(new URL(event.replace(':', '/'), FORMATS), 'utf8') : undefined;
    const plan = planEvents({
      enabled: [{ module, options: module.schema(schemaKit).parse({}) }],
      metadata: { ...MACHINE, events: () => events, formatText: text },
      host: fakeHost,
      onlineCpus: [0],
      store,
      self: makeSelfMetrics(store),
      isSelf: () => false,
    });
    return plan.probes[0];
  };

  test('has each probe off with a reason that names its events', () => {
    for (const module of declaredProbes) {
      const { up, reason } = statusOf(module, []);
      assert.equal(up, false, module.name);
      assert.match(reason, /^this kernel has none of the probe's events \(\w+:\w+/, module.name);
    }
  });

  test('has the rest of a probe, and notes what is not measured', () => {
    const { up, notes = [] } = statusOf(memory as ProbeModule, ['oom:mark_victim']);
    assert.equal(up, true);
    assert.ok(
      notes.includes(
        'this kernel has no event vmscan:mm_vmscan_memcg_reclaim_begin: ftrace_memory_reclaim_seconds{kind="memcg"} is not measured',
      ),
      notes.join('\n'),
    );
  });
});
