import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaKit } from '../../../src/config/units.ts';
import type { SyscallSink } from '../../../src/model/intervals.ts';
import { syscalls } from '../../../src/probes/syscalls.ts';
import { fakeHost, knownEvents, type Machine, run } from './records.ts';

const DURATION = 'ftrace_syscall_duration_seconds';
const ERRORS = 'ftrace_syscall_errors_total';
const WAITING = 'ftrace_syscall_waiting_seconds_total';
const FSYNC = 74;
const READ = 0;
const SIGRETURN = 15;
const CLONE = 56;
const EXECVE = 59;
const EXIT_GROUP = 231;

function raw(options: Record<string, unknown> = {}, machine: Machine = {}) {
  const h = run(syscalls, options, machine);
  return {
    ...h,
    enter: (ts: number, by: number, id: number) => h.feed('raw_syscalls:sys_enter', { ts, by, id }),
    exit: (ts: number, by: number, id: number, ret: number, cpu = 0) =>
      h.feed('raw_syscalls:sys_exit', { ts, by, id, ret, cpu }),
    duration: (name: string) => h.durations(DURATION, name),
  };
}

test('enter to exit is a call, errors are counted by name', () => {
  const s = raw();
  s.enter(1000, 7, FSYNC);
  s.exit(3000, 7, FSYNC, 0, 1);
  s.enter(4000, 7, READ);
  s.exit(4500, 7, READ, -11);
  s.enter(5000, 7, READ);
  s.exit(5500, 7, READ, -4096);
  assert.deepEqual(s.duration('fsync'), { count: 1, sum: 2000 });
  assert.deepEqual(s.duration('read'), { count: 2, sum: 1000 });
  assert.equal(s.value(ERRORS, 'read', 'EAGAIN'), 1);
  assert.equal(s.value(ERRORS, 'fsync', 'EAGAIN'), undefined);
  assert.deepEqual(s.unmatched, {});
});

test('a call in which the task slept interruptibly waited; one that slept for a disk or was preempted did not', () => {
  const s = raw();
  const off = (ts: number, state: number) =>
    s.feed('sched:sched_switch', { ts, prev_pid: 7, prev_state: state });
  s.enter(1000, 7, READ);
  off(1100, 1);
  s.exit(5000, 7, READ, 4);
  s.enter(6000, 7, READ);
  off(6100, 2);
  off(6200, 0);
  s.exit(6500, 7, READ, 4);
  off(6600, 1);
  s.enter(7000, 7, FSYNC);
  s.exit(7100, 7, FSYNC, 0);
  assert.deepEqual(s.duration('read'), { count: 2, sum: 4500 });
  assert.equal(s.value(WAITING, 'read'), 4000);
  assert.equal(s.value(WAITING, 'fsync'), undefined, 'it slept between two calls');
  assert.deepEqual(s.unmatched, {});
});

test('numbers without a syscall that the config includes and that wait keep their call', () => {
  const s = raw();
  for (const id of [-5, 123456]) {
    s.enter(1000, 7, id);
    s.feed('sched:sched_switch', { ts: 1100, prev_pid: 7, prev_state: 1 });
    s.exit(2000, 7, id, -38);
  }
  assert.equal(s.duration('unknown')?.count, 2);
  assert.deepEqual(s.unmatched, {});
});

test('an errno without a name is unknown, however large', () => {
  const s = raw();
  for (const ret of [-599, -600, -4095]) s.exit(1, 7, READ, ret);
  assert.equal(s.value(ERRORS, 'read', 'unknown'), 3);
});

test('sigreturn exits with id -1, and its ret is no error', () => {
  const s = raw();
  s.enter(1000, 7, SIGRETURN);
  s.exit(1400, 7, -1, -2);
  assert.deepEqual(s.duration('rt_sigreturn'), { count: 1, sum: 400 });
  assert.equal(s.value(ERRORS, 'rt_sigreturn', 'ENOENT'), undefined);
  assert.deepEqual(s.unmatched, {});
});

test("a clone's child ends a call that it never began, which is no missing pair", () => {
  const s = raw();
  s.enter(1000, 7, CLONE);
  s.exit(1500, 8, CLONE, 0);
  s.exit(1600, 7, CLONE, 8);
  assert.deepEqual(s.duration('clone'), { count: 1, sum: 600 });
  assert.deepEqual(s.unmatched, {});
  s.exit(1700, 9, CLONE, 10);
  s.exit(1700, 9, READ, 0);
  assert.deepEqual(s.unmatched, { no_start: 2 }, 'a parent began before, and read returns once');
});

test('the child of every call that forks ends it without a missing pair', () => {
  const names = ['clone', 'clone3', 'fork', 'vfork'];
  const s = raw({}, { host: { syscallIds: () => [0, 1, 2, 3], syscallName: (id) => names[id] } });
  names.forEach((_, id) => {
    s.exit(1500, 20 + id, id, 0);
  });
  assert.deepEqual(s.unmatched, {});
});

test('exec in a thread begins under one pid and ends under the leader', () => {
  const s = raw();
  s.enter(500, 7, READ);
  s.enter(1000, 8, EXECVE);
  s.feed('sched:sched_process_exit', { ts: 1100, by: 7, pid: 7 });
  s.feed('sched:sched_process_exec', { ts: 1200, by: 7, pid: 7, old_pid: 8, filename: '/bin/true' });
  s.exit(1300, 7, EXECVE, 0);
  s.exit(1400, 8, EXECVE, 0);
  assert.deepEqual(s.duration('execve'), { count: 1, sum: 300 });
  assert.deepEqual(s.unmatched, { exited: 1, no_start: 1 });
});

test('exec without threads moves nothing', () => {
  const s = raw();
  s.enter(1000, 8, EXECVE);
  s.feed('sched:sched_process_exec', { ts: 1200, by: 8, pid: 8, old_pid: 8, filename: '/bin/true' });
  s.exit(1300, 8, EXECVE, 0);
  assert.deepEqual(s.duration('execve'), { count: 1, sum: 300 });
  assert.deepEqual(s.unmatched, {});
});

test('exit_group never ends, and no end is expected', () => {
  const s = raw();
  s.enter(1000, 7, EXIT_GROUP);
  s.feed('sched:sched_process_exit', { ts: 1100, pid: 7 });
  assert.equal(s.duration('exit_group'), undefined);
  assert.deepEqual(s.unmatched, {});
});

test('a task killed in a call leaves no start behind for the next with its pid', () => {
  const s = raw();
  s.enter(1000, 7, READ);
  s.feed('sched:sched_process_exit', { ts: 1100, pid: 7 });
  s.exit(9000, 7, READ, 0);
  assert.equal(s.duration('read'), undefined);
  assert.deepEqual(s.unmatched, { exited: 1, no_start: 1 });
});

test('numbers that no table has are unknown', () => {
  const s = raw();
  for (const id of [-5, 123456, 6, 0x40000027, 2 ** 31 - 1]) {
    s.enter(1000, 7, id);
    s.exit(1100, 7, id, -38);
  }
  assert.deepEqual(s.duration('unknown'), { count: 5, sum: 500 });
  assert.deepEqual(s.unmatched, {});
});

test('an exit of another call than began does not pair, nor does the next', () => {
  const s = raw();
  s.enter(1000, 7, READ);
  s.exit(1100, 7, FSYNC, 0);
  s.exit(1200, 7, READ, 0);
  assert.equal(s.duration('read'), undefined);
  assert.equal(s.duration('fsync'), undefined);
  assert.deepEqual(s.unmatched, { no_start: 2 });
});

test('a call whose exit is missing gives way to the next', () => {
  const s = raw();
  s.enter(1000, 7, READ);
  s.enter(2000, 7, READ);
  s.exit(2100, 7, READ, 0);
  assert.deepEqual(s.duration('read'), { count: 1, sum: 100 });
  assert.deepEqual(s.unmatched, { no_end: 1 });
});

test('a loss on any CPU discards calls that began before its end; events out of order are late', () => {
  const s = raw();
  s.enter(1000, 7, READ);
  s.enter(1000, 9, READ);
  s.probe.onLoss?.(3, 2000);
  s.enter(2000, 8, READ);
  s.exit(3000, 7, READ, 0);
  s.exit(3000, 8, READ, 0);
  s.enter(4000, 9, READ);
  s.exit(3900, 9, READ, 0);
  assert.deepEqual(s.duration('read'), { count: 1, sum: 1000 });
  assert.deepEqual(s.unmatched, { lost: 2, late: 1 });
});

test('a slow call that began before a loss is reported with the end of the loss', () => {
  const reported: number[][] = [];
  const sink: SyscallSink = {
    thresholdNs: 500,
    wants: () => true,
    watch: () => {},
    ended: (_name, pid, _cpu, startNs, endNs, _ret, lostUntilNs = 0) =>
      void reported.push([pid, startNs, endNs, lostUntilNs]),
  };
  const s = raw({}, { intervals: { syscalls: sink } });
  s.enter(1000, 7, READ);
  s.probe.onLoss?.(3, 2000);
  s.enter(2000, 8, READ);
  s.exit(3000, 7, READ, 0);
  s.exit(3000, 8, READ, 0);
  assert.deepEqual(reported, [
    [7, 1000, 3000, 2000],
    [8, 2000, 3000, 0],
  ]);
});

test("the agent's own calls are left out", () => {
  const s = raw({}, { self: [900] });
  s.enter(1000, 900, READ);
  s.exit(1100, 900, READ, -11);
  assert.equal(s.ignored(), 2);
  assert.equal(s.duration('read'), undefined);
  assert.equal(s.value(ERRORS, 'read', 'EAGAIN'), undefined);
  assert.deepEqual(s.unmatched, {});
});

test('a pid out of range has no start', () => {
  const s = raw();
  s.enter(1000, 4194304, READ);
  s.exit(1100, 4194304, READ, 0);
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('above max_series syscalls go to other', () => {
  const s = raw({ max_series: 2 });
  for (const id of [READ, FSYNC, CLONE, 1]) {
    s.enter(1000, 7, id);
    s.exit(1100, 7, id, 0);
  }
  assert.deepEqual(s.duration('read'), { count: 1, sum: 100 });
  assert.deepEqual(s.duration('other'), { count: 2, sum: 200 });
});

test('exclude leaves syscalls out without a trace', () => {
  const s = raw({ exclude: ['read', 'f*'] });
  assert.ok('raw_syscalls:sys_enter' in s.probe.handlers);
  s.enter(1000, 7, READ);
  s.exit(1100, 7, READ, -11);
  s.exit(1150, 7, FSYNC, 0);
  s.enter(1200, 7, 1);
  s.exit(1300, 7, 1, 1);
  assert.equal(s.duration('read'), undefined);
  assert.equal(s.value(ERRORS, 'read', 'EAGAIN'), undefined);
  assert.deepEqual(s.duration('write'), { count: 1, sum: 100 });
  assert.deepEqual(s.unmatched, {});
});

test('a call that is left out ends the one before it', () => {
  const s = raw({ exclude: ['read'] });
  s.enter(1000, 7, FSYNC);
  s.enter(2000, 7, READ);
  s.exit(2100, 7, READ, 0);
  s.exit(2200, 7, FSYNC, 0);
  assert.equal(s.duration('fsync'), undefined);
  assert.deepEqual(s.unmatched, { no_end: 1, no_start: 1 });
});

test('per_cpu adds the CPU where the call ended', () => {
  const s = raw({ per_cpu: true });
  s.enter(1000, 7, READ);
  s.exit(1100, 7, READ, 0, 3);
  assert.deepEqual(s.durations(DURATION, 'read', '3'), { count: 1, sum: 100 });
});

test('a few chosen syscalls are traced by their own events', () => {
  const s = run(syscalls, { include: ['fsync', 'fst*', 'execve'] });
  assert.deepEqual(Object.keys(s.probe.handlers).sort(), [
    'sched:sched_process_exec',
    'sched:sched_process_exit',
    'sched:sched_switch',
    'syscalls:sys_enter_execve',
    'syscalls:sys_enter_fsync',
    'syscalls:sys_enter_newfstat',
    'syscalls:sys_exit_execve',
    'syscalls:sys_exit_fsync',
    'syscalls:sys_exit_newfstat',
  ]);
  s.feed('syscalls:sys_enter_newfstat', { ts: 1000, by: 7 });
  s.feed('syscalls:sys_exit_newfstat', { ts: 1250, by: 7, ret: -2 });
  s.feed('syscalls:sys_enter_fsync', { ts: 2000, by: 7 });
  s.feed('syscalls:sys_enter_fsync', { ts: 2000, by: 8 });
  s.feed('syscalls:sys_exit_newfstat', { ts: 2250, by: 7, ret: 0 });
  s.feed('syscalls:sys_exit_fsync', { ts: 2300, by: 8, ret: 0 });
  assert.deepEqual(s.durations(DURATION, 'fstat'), { count: 1, sum: 250 });
  assert.deepEqual(s.durations(DURATION, 'fsync'), { count: 1, sum: 300 });
  assert.equal(s.value(ERRORS, 'fstat', 'ENOENT'), 1);
  assert.deepEqual(s.unmatched, { no_start: 1 });
});

test('selected syscalls come from raw_syscalls if one has no events of its own, or if they are many', () => {
  const one = raw({ include: ['fsync', 'read'] });
  assert.ok('raw_syscalls:sys_enter' in one.probe.handlers);
  one.enter(1000, 7, FSYNC);
  one.exit(1100, 7, FSYNC, 0);
  one.enter(1200, 7, CLONE);
  one.exit(1300, 7, CLONE, 0);
  one.exit(1400, 7, -1, 0);
  assert.deepEqual(one.duration('fsync'), { count: 1, sum: 100 });
  assert.equal(one.duration('clone'), undefined);
  assert.deepEqual(one.unmatched, {});

  const names = Array.from({ length: 17 }, (_, i) => `call${i}`);
  const host = {
    ...fakeHost,
    syscallIds: () => names.map((_, i) => i),
    syscallName: (id: number) => names[id],
  };
  const events = names.flatMap((name) => [`syscalls:sys_enter_${name}`, `syscalls:sys_exit_${name}`]);
  const kernel = { events: () => [...knownEvents(), ...events], machine: 'x86_64' };
  const needs = (include: string[]) =>
    syscalls.needs(syscalls.schema(schemaKit).parse({ include }), kernel, host).map((need) => need.event);
  assert.ok(needs(['call*']).includes('raw_syscalls:sys_enter'));
  assert.ok(!needs(['call1*']).includes('raw_syscalls:sys_enter'));
});

test('an include that matches nothing leaves nothing to trace', () => {
  const kernel = { events: knownEvents, machine: 'x86_64' };
  assert.deepEqual(
    syscalls.needs(syscalls.schema(schemaKit).parse({ include: ['nonesuch'] }), kernel, fakeHost),
    [],
  );
});
