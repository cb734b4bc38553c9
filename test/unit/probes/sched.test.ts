import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskClasses } from '../../../src/model/task-classes.ts';
import { sched } from '../../../src/probes/sched.ts';
import { type Machine, run } from './records.ts';

const LATENCY = 'ftrace_sched_runqueue_latency_seconds';
const WAIT = 'ftrace_sched_runqueue_wait_seconds_total';
const SWITCHES = 'ftrace_sched_switches_total';
const WAKEUPS = 'ftrace_sched_wakeups_total';

function scheduler(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const h = run(sched, options, machine);
  return {
    ...h,
    /** `state`: R (0), R+ (0x100) or S (1). */
    switch: (ts: number, cpu: number, prev: number, state: number, next: number, prio = 120) =>
      h.feed('sched:sched_switch', {
        ts,
        cpu,
        prev_pid: prev,
        prev_state: state,
        next_pid: next,
        next_prio: prio,
      }),
    wake: (ts: number, pid: number, target = 0, cpu = 0) =>
      h.feed('sched:sched_wakeup', { ts, cpu, pid, target_cpu: target }),
    wakeNew: (ts: number, pid: number, target = 0, by = 1) =>
      h.feed('sched:sched_wakeup_new', { ts, by, pid, target_cpu: target }),
    migrate: (ts: number, pid: number) =>
      h.feed('sched:sched_migrate_task', { ts, pid, orig_cpu: 0, dest_cpu: 1 }),
    latency: (taskClass = 'normal') => h.durations(LATENCY, taskClass),
  };
}

test('wake-up to switch-in is one wait, by the CPU that ran the task', () => {
  const s = scheduler();
  s.wake(1000, 42, 1, 0);
  s.switch(4000, 1, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 1, sum: 3000 });
  assert.equal(s.value(WAIT, '1'), 3000);
  assert.equal(s.value(WAIT, '0'), 0);
  assert.equal(s.value(WAKEUPS, '1'), 1);
  assert.deepEqual(s.unmatched, {});
});

test('a new task waits from sched_wakeup_new', () => {
  const s = scheduler();
  s.wakeNew(1000, 43);
  s.switch(1500, 0, 0, 0, 43);
  assert.deepEqual(s.latency(), { count: 1, sum: 500 });
});

test('woken twice is one wait, from the first', () => {
  const s = scheduler();
  s.wake(1000, 42);
  s.wake(2000, 42);
  s.switch(3000, 0, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 1, sum: 2000 });
});

for (const [state, name] of [
  [0, 'R'],
  [0x100, 'R+'],
] as const) {
  test(`switched out in state ${name} is preempted, and waits from then`, () => {
    const s = scheduler();
    s.switch(1000, 0, 42, state, 43);
    s.switch(5000, 0, 43, 1, 42);
    assert.deepEqual(s.latency(), { count: 1, sum: 4000 });
    assert.equal(s.value(SWITCHES, '0', 'preempted'), 1);
    assert.equal(s.value(SWITCHES, '0', 'voluntary'), 1);
    assert.deepEqual(s.unmatched, { no_start: 1 });
  });
}

test('going to sleep deletes a stamp that a wake-up of the running task left', () => {
  const s = scheduler();
  s.wake(1000, 42);
  s.switch(2000, 0, 0, 0, 42);
  s.wake(2500, 42);
  s.switch(3000, 0, 42, 1, 0);
  s.switch(9000, 0, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 1, sum: 1000 });
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('the idle task neither waits nor counts as switched out', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, 0, 42);
  s.switch(2000, 0, 42, 1, 0);
  s.switch(3000, 0, 0, 0, 0);
  assert.equal(s.value(SWITCHES, '0', 'preempted'), 0);
  assert.equal(s.value(SWITCHES, '0', 'voluntary'), 1);
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('a wait that began before a loss on any CPU is discarded, also for a task that moved', () => {
  const s = scheduler();
  s.wake(1000, 42, 0, 0);
  s.probe.onLoss?.(1, 5000);
  s.migrate(5500, 42);
  s.switch(6000, 1, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 0, sum: 0 });
  assert.deepEqual(s.unmatched, { lost: 1 });
  assert.equal(s.value('ftrace_sched_migrations_total'), 1);
});

test('a wake-up after a loss replaces a stamp from before it', () => {
  const s = scheduler();
  s.wake(1000, 42);
  s.probe.onLoss?.(0, 5000);
  s.probe.onLoss?.(1, 4000);
  s.wake(6000, 42);
  s.switch(6100, 0, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 1, sum: 100 });
});

test('events out of order never give a negative wait', () => {
  const s = scheduler();
  s.wake(2000, 42);
  s.switch(1500, 0, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 0, sum: 0 });
  assert.deepEqual(s.unmatched, { late: 1 });
});

test('from waking, the wait begins with the waker', () => {
  const s = scheduler({ from: 'waking' });
  s.feed('sched:sched_waking', { ts: 1000, pid: 42, target_cpu: 1 });
  s.wake(1200, 42, 1, 1);
  s.switch(1300, 1, 0, 0, 42);
  assert.deepEqual(s.latency(), { count: 1, sum: 300 });
  assert.equal(s.value(WAKEUPS, '1'), 1);
  assert.equal(scheduler().probe.handlers['sched:sched_waking'], undefined);
});

test("the agent's own threads are left out; those they switch to and from are not", () => {
  const s = scheduler({}, { self: [900] });
  s.wake(1000, 900);
  s.wake(1100, 42);
  s.switch(1200, 0, 0, 0, 900);
  s.switch(1500, 0, 900, 0, 42);
  s.migrate(1600, 900);
  assert.deepEqual(s.latency(), { count: 1, sum: 400 });
  assert.equal(s.value(WAKEUPS, '0'), 1);
  assert.equal(s.value(SWITCHES, '0', 'preempted'), 0);
  assert.equal(s.value('ftrace_sched_migrations_total'), 0);
  assert.equal(s.ignored(), 3);
  assert.deepEqual(s.unmatched, {});
});

test('a pid out of range has no start', () => {
  const s = scheduler();
  s.wake(1000, 4194304);
  s.switch(2000, 0, 4194304, 0, 4194304);
  assert.deepEqual(s.latency(), { count: 0, sum: 0 });
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('CPUs that are online start at 0; those that are only possible do not', () => {
  const s = scheduler({}, { cpuCount: 8, onlineCpus: [0, 3] });
  assert.equal(s.value(SWITCHES, '3', 'voluntary'), 0);
  assert.equal(s.value(SWITCHES, '1', 'voluntary'), undefined);
  s.wake(1, 42, 7);
  assert.equal(s.value(WAKEUPS, '7'), 1);
  // The target CPU does not exist, so the wake-up counts on the CPU that recorded it.
  s.wake(2, 43, 123456, 3);
  s.wake(3, 44, -1, 3);
  assert.equal(s.value(WAKEUPS, '3'), 2);
});

test('per_cpu gives the latency the label cpu', () => {
  const s = scheduler({ per_cpu: true });
  s.wake(1000, 42);
  s.switch(2000, 1, 0, 0, 42);
  assert.deepEqual(s.durations(LATENCY, 'normal', '1'), { count: 1, sum: 1000 });
  assert.deepEqual(s.durations(LATENCY, 'normal', '0'), { count: 0, sum: 0 });
});

test('with only sched_switch there are switches and waits of preempted tasks, and no claim about the rest', () => {
  const s = scheduler({}, { events: ['sched:sched_switch'] });
  assert.deepEqual(Object.keys(s.probe.handlers), ['sched:sched_switch']);
  s.switch(1000, 0, 42, 0, 43);
  s.switch(5000, 0, 43, 1, 42);
  assert.deepEqual(s.latency(), { count: 1, sum: 4000 });
  assert.equal(s.value(SWITCHES, '0', 'preempted'), 1);
  assert.equal(s.value(SWITCHES, '0', 'voluntary'), 1);
  assert.equal(s.value(WAKEUPS, '0'), undefined);
  const families = s.store.snapshot().families.map(({ spec }) => spec.name);
  assert.equal(families.includes('ftrace_sched_migrations_total'), false);
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('with only wake-ups there are wake-ups', () => {
  const s = scheduler({ from: 'waking' }, { events: ['sched:sched_wakeup'] });
  s.wake(1000, 42, 1);
  assert.equal(s.value(WAKEUPS, '1'), 1);
  const families = s.store.snapshot().families.map(({ spec }) => spec.name);
  assert.deepEqual(
    families.filter((name) => name.startsWith('ftrace_sched')),
    [WAKEUPS],
  );
});

for (const [prio, name] of [
  [-1, 'rt'],
  [0, 'rt'],
  [99, 'rt'],
  [100, 'normal'],
  [139, 'normal'],
] as const) {
  test(`a task with priority ${prio} is ${name}, and no other class has a series`, () => {
    const s = scheduler();
    s.wake(1000, 42);
    s.switch(3000, 0, 0, 0, 42, prio);
    assert.deepEqual(s.latency(name), { count: 1, sum: 2000 });
    if (name === 'normal') assert.equal(s.latency('rt'), undefined);
    else assert.deepEqual(s.latency('normal'), { count: 0, sum: 0 });
    assert.equal(s.latency('batch'), undefined);
    assert.equal(s.latency('idle'), undefined);
  });
}

test('batch and idle tasks are asked for when they have waited for long, and counted as such from then on', () => {
  const lookups: number[] = [];
  const classes = new Map<number, number>();
  let refreshed = 0;
  const taskClasses: TaskClasses = {
    of: (pid) => classes.get(pid) ?? 0,
    ask: (pid) => lookups.push(pid),
    inherit: (pid, parent) => classes.set(pid, classes.get(parent) ?? 0),
    now: () => 0,
    refresh: () => {
      refreshed++;
      for (const pid of lookups.splice(0)) classes.set(pid, 3);
    },
  };
  const s = scheduler({}, { host: { taskClasses } });
  s.wake(0, 41);
  s.switch(999_999, 0, 0, 0, 41);
  s.wake(0, 43);
  s.switch(5e6, 0, 41, 1, 43, 98);
  assert.deepEqual(lookups, [], 'waits of less than 1 ms, and real-time tasks');
  s.wake(1e6, 42);
  s.switch(2e6, 0, 41, 1, 42);
  assert.deepEqual(lookups, [42]);
  assert.deepEqual(s.latency('idle'), undefined);
  s.probe.sweep?.();
  assert.equal(refreshed, 1);
  s.wake(3e6, 42);
  s.switch(3e6 + 10, 0, 0, 0, 42);
  assert.deepEqual(s.latency('idle'), { count: 1, sum: 10 });
  // A child has the class of its parent, even if it gets the pid of an ended task of another class.
  s.wakeNew(4e6, 44, 0, 42);
  s.switch(4e6 + 10, 0, 42, 1, 44);
  assert.deepEqual(s.latency('idle'), { count: 2, sum: 20 });
  s.wakeNew(5e6, 42, 0, 41);
  s.switch(5e6 + 10, 0, 44, 1, 42);
  assert.deepEqual(s.latency('idle'), { count: 2, sum: 20 });
});
