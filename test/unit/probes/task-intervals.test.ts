/** What the sink of spans receives when tasks leave and return to CPUs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { SwitchIn, TaskSink } from '../../../src/model/intervals.ts';
import { BY_RAISED_SOFTIRQ, BY_SOFTIRQ, BY_TASK, wakeKind } from '../../../src/model/wake-codes.ts';
import { taskIntervals } from '../../../src/probes/helpers/task-intervals.ts';
import { run } from './records.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const S = 1;
const D = 2;
const X = 0x10;
const HARDIRQ = 0x08;
const SOFTIRQ = 0x10;
const NET_RX = 3;
const CULPRIT_NS = 1000;

/** Tasks with pids below 100 are watched: they have been in a call since time 1. */
function tasks(waitThresholdNs = Number.POSITIVE_INFINITY, follows = false) {
  let nameOf: (wokenBy: number) => string | undefined = () => undefined;
  const turns: [cpu: number, pid: number, startNs: number, endNs: number, comm: string][] = [];
  const moves: [pid: number, cpu: number, atNs: number][] = [];
  const losses: [cpu: number, fromNs: number, untilNs: number][] = [];
  const back: SwitchIn[] = [];
  let cameBack: Parameters<TaskSink['watch']>[0] = () => {};
  const sink: TaskSink = {
    waitThresholdNs,
    culpritNs: CULPRIT_NS,
    inCall: (pid) => (pid < 100 ? 1 : 0),
    watch: (callback) => {
      cameBack = callback;
    },
    ran: (cpu, pid, startNs, endNs, words, commAt) => {
      const comm = Buffer.from(words.buffer, words.byteOffset + 4 * commAt, 16);
      turns.push([cpu, pid, startNs, endNs, comm.toString().replace(/\0.*$/s, '')]);
    },
    follows,
    names: (callback) => {
      nameOf = callback;
    },
    works: () => {},
    worked: () => {},
    lost: (cpu, fromNs, untilNs) => void losses.push([cpu, fromNs, untilNs]),
    moved: (pid, cpu, atNs) => void moves.push([pid, cpu, atNs]),
    switchedIn: (task) => void back.push({ ...task }),
  };
  const h = run(taskIntervals, {}, { intervals: { tasks: sink } });
  return {
    ...h,
    turns,
    back,
    moves,
    losses,
    nameOf: (wokenBy: number) => nameOf(wokenBy),
    cameBack: (pid: number, cpu: number, ns: number) => cameBack(pid, cpu, ns),
    switch: (ts: number, cpu: number, prev: number, state: number, next: number) =>
      h.feed('sched:sched_switch', {
        ts,
        cpu,
        prev_pid: prev,
        prev_comm: `t${prev}`,
        prev_state: state,
        next_pid: next,
        next_comm: `t${next}`,
      }),
    /** Task `by` on `cpu` wakes a task, which joins the queue of CPU `target`. */
    wake: (ts: number, pid: number, by: number, cpu: number, target = cpu, flags = 0) => {
      h.feed('sched:sched_waking', { ts, cpu, pid, by, flags, target_cpu: target });
      h.feed('sched:sched_wakeup', { ts, cpu, pid, target_cpu: target });
    },
  };
}

test('what woke a task: another task, or an interrupt by its name', () => {
  const t = tasks();
  t.switch(1000, 0, 7, D, 500);
  t.wake(2000, 7, 900, 1, 0);
  t.switch(2500, 0, 500, S, 7);
  const [{ outNs, runnableNs, inNs, state, wokenBy, waker, wakerCpu, isWatched }] = t.back;
  assert.deepEqual([outNs, runnableNs, inNs, state, isWatched], [1000, 2000, 2500, D, true]);
  assert.deepEqual([wokenBy, waker, wakerCpu], [BY_TASK, 900, 1]);
});

test('wake-ups in interrupts are named by what runs on that CPU', () => {
  const t = tasks(Number.POSITIVE_INFINITY, true);
  let ts = 0;
  const cause = (cpu: number, flags: number, before: () => unknown): string | undefined => {
    t.switch(++ts, 0, 7, D, 500);
    before();
    t.wake(++ts, 7, 900, cpu, 0, flags);
    t.switch(++ts, 0, 500, S, 7);
    return t.nameOf(t.back.at(-1)?.wokenBy ?? 0);
  };
  const on = (event: string, fields: object = {}) => t.feed(event, { ts: ++ts, cpu: 1, ...fields });
  const irq = () => on('irq:irq_handler_entry', { irq: 24, name: 'virtio0-req.0' });
  const raise = (by: number, flags = 0) => on('irq:softirq_raise', { vec: NET_RX, by, flags });
  const softirq = () => on('irq:softirq_entry', { vec: NET_RX });
  const timer = (flags: number) => on('timer:hrtimer_expire_entry', { flags });
  assert.equal(
    cause(1, HARDIRQ, () => irq()),
    'irq virtio0-req.*',
  );
  // The handler has ended, or is running on another CPU.
  assert.equal(
    cause(0, HARDIRQ, () => {}),
    undefined,
  );
  on('irq:irq_handler_exit', { irq: 24 });
  assert.equal(
    cause(1, HARDIRQ, () => {}),
    undefined,
  );
  assert.equal(
    cause(1, HARDIRQ, () => timer(HARDIRQ)),
    'timer',
  );
  on('timer:hrtimer_expire_exit', { flags: HARDIRQ });
  assert.equal(
    cause(1, SOFTIRQ, () => [raise(900, HARDIRQ), softirq()]),
    'softirq NET_RX',
  );
  assert.equal(wakeKind(t.back.at(-1)?.wokenBy ?? 0), BY_SOFTIRQ);
  on('irq:softirq_exit', { vec: NET_RX });
  // Task 900 raised the softirq, as when it sends data to its own machine.
  cause(1, SOFTIRQ, () => [raise(900), softirq()]);
  assert.equal(wakeKind(t.back.at(-1)?.wokenBy ?? 0), BY_RAISED_SOFTIRQ);
  on('irq:softirq_exit', { vec: NET_RX });
  // An interrupt has raised the softirq, too.
  cause(1, SOFTIRQ, () => [raise(900), raise(900, HARDIRQ), softirq()]);
  assert.equal(wakeKind(t.back.at(-1)?.wokenBy ?? 0), BY_SOFTIRQ);
  // After a loss, it is unknown what is running on the CPU.
  t.probe.onLoss?.(1, ++ts);
  assert.equal(
    cause(1, SOFTIRQ, () => {}),
    undefined,
  );
});

test('if the sink follows wake-ups, all tasks are reported', () => {
  const t = tasks(Number.POSITIVE_INFINITY, true);
  t.switch(1000, 0, 700, S, 500);
  t.wake(2000, 700, 500, 0);
  t.switch(2500, 0, 500, S, 700);
  t.switch(3000, 0, 700, S, 0);
  // Task 700 wakes another task, so it must have returned without an event.
  t.wake(4000, 500, 700, 1);
  t.switch(4500, 0, 0, 0, 800);
  assert.deepEqual(
    t.back.map(({ pid, outNs, inNs, isSeen, isWatched }) => [pid, outNs, inNs, isSeen, isWatched]),
    [
      [500, 0, 1000, true, false],
      [700, 1000, 2500, true, false],
      [700, 3000, 4000, false, false],
      [800, 0, 4500, true, false],
    ],
  );
});

test('a task waited for one CPU and got another: the sink gets the task that has the first one until now', () => {
  const t = tasks(0);
  t.switch(1000, 0, 0, 0, 500);
  t.switch(3000, 0, 500, S, 600);
  t.wake(4000, 7, 500, 1, 0);
  t.switch(9000, 1, 0, 0, 7);
  assert.deepEqual(t.turns, [
    [0, 500, 1000, 3000, 't500'],
    [0, 600, 3000, 9000, 't600'],
  ]);
  assert.deepEqual([t.back[0].cpu, t.back[0].queueCpu], [1, 0]);
  t.switch(9500, 0, 600, S, 0);
  assert.deepEqual(t.turns.at(-1), [0, 600, 9000, 9500, 't600']);
});

test('but not if the wait was short, or the CPU is idle', () => {
  const t = tasks(0);
  t.switch(3000, 0, 0, 0, 600);
  t.wake(4000, 7, 500, 1, 0);
  t.switch(4000 + CULPRIT_NS - 1, 1, 0, 0, 7);
  t.switch(5500, 0, 600, S, 0);
  t.wake(6000, 8, 500, 1, 0);
  t.switch(9000, 1, 7, S, 8);
  assert.deepEqual(
    t.turns.map(([cpu, pid]) => [cpu, pid]),
    [
      [0, 600],
      [1, 7],
    ],
  );
});

test('a task whose return was not seen is reported when it does something', () => {
  const t = tasks();
  t.switch(1000, 1, 7, S, 0);
  t.cameBack(7, 1, 8000);
  t.cameBack(7, 1, 9000);
  assert.deepEqual(
    t.back.map(({ pid, isSeen, outNs, inNs, state }) => ({ pid, isSeen, outNs, inNs, state })),
    [{ pid: 7, isSeen: false, outNs: 1000, inNs: 8000, state: S }],
  );
  // The task was woken before it left the CPU again, so it must have run since then.
  t.switch(10_000, 1, 7, S, 0);
  t.wake(10_500, 7, 0, 1, 1, HARDIRQ);
  t.switch(12_000, 1, 7, D, 0);
  assert.deepEqual([t.back[1].isSeen, t.back[1].runnableNs, t.back[1].inNs], [false, 10_500, 10_500]);
});

test('what began before a loss is reported without its beginning', () => {
  const t = tasks(0, true);
  t.switch(1000, 0, 7, D, 500);
  t.wake(1500, 8, 500, 0);
  t.probe.onLoss?.(0, 2000);
  t.switch(3000, 0, 500, S, 7);
  t.switch(4000, 0, 7, S, 8);
  assert.deepEqual(
    t.back.slice(-2).map(({ pid, outNs, runnableNs, inNs, state }) => [pid, outNs, runnableNs, inNs, state]),
    [
      [7, 0, 0, 3000, 0],
      [8, 0, 0, 4000, 0],
    ],
  );
  assert.deepEqual(t.turns, [[0, 7, 3000, 4000, 't7']]);
  assert.deepEqual(t.losses, [[0, 1000, 2000]]);
});

test('a task slept through a loss if it was woken where it went to sleep, and nothing was lost there', () => {
  const slept = (lossOn: number, wakes: (t: ReturnType<typeof tasks>) => void) => {
    const t = tasks(Number.POSITIVE_INFINITY, true);
    t.switch(1000, 0, 7, D, 500);
    t.probe.onLoss?.(lossOn, 2000);
    for (let i = 0; i < 3; i++) t.probe.sweep?.();
    wakes(t);
    t.switch(9000, 0, 500, S, 7);
    return t.back.map(({ outNs, state, isWatched }) => [outNs, state, isWatched]).at(-1);
  };
  assert.deepEqual(
    slept(1, (t) => t.wake(3000, 7, 500, 0)),
    [1000, D, true],
  );
  assert.deepEqual(
    slept(0, (t) => t.wake(3000, 7, 500, 0)),
    [0, 0, true],
    'it may have had its CPU during the loss',
  );
  assert.deepEqual(
    slept(1, (t) => t.wake(3000, 7, 500, 0, 1)),
    [0, 0, true],
    'it was on CPU 1 during the loss',
  );
  assert.deepEqual(
    slept(1, (t) => {
      t.wake(3000, 7, 500, 0);
      t.probe.onLoss?.(1, 4000);
    }),
    [0, 0, true],
    'it may have gone on during the second loss',
  );
  assert.deepEqual(
    slept(1, () => {}),
    [0, 0, true],
  );
});

test('tasks that come and go leave no memory behind, whether or not their ends are lost', () => {
  const t = tasks();
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  let ts = 1000;
  for (let pid = 100; pid < 4_194_303; pid += 16 * 1021) {
    for (let i = 0; i < 4; i++) {
      const own = pid + i * 1024;
      t.wake(++ts, own, 50, 0);
      t.switch(++ts, 0, 0, 0, own);
      t.switch(++ts, 0, own, X, 0);
    }
    // The end of this task is lost.
    t.wake(++ts, pid + 4096, 50, 0);
    ts += 20e9;
    t.probe.onLoss?.(0, ts);
    t.probe.sweep?.();
  }
  collectGarbage();
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 1 << 20, `${grown} bytes`);
});

test('a task that is moved while it waits is reported, one that is being woken is not', () => {
  const t = tasks(0);
  const move = (ts: number, pid: number, to: number) =>
    t.feed('sched:sched_migrate_task', { ts, pid, orig_cpu: 0, dest_cpu: to });
  t.switch(500, 0, 0, 0, 600);
  move(900, 7, 0);
  t.wake(1000, 7, 500, 1, 0);
  move(2000, 7, 1);
  t.switch(3000, 1, 0, 0, 7);
  move(3500, 7, 0);
  assert.deepEqual(t.moves, [[7, 1, 2000]]);
  // The turn of the task on the CPU that it waited for first must be reported up to the move.
  assert.deepEqual(t.turns[0], [0, 600, 500, 2000, 't600']);
});

test('a task that is moved twice: the turn on the second CPU is reported up to the second move', () => {
  const t = tasks(0);
  for (const cpu of [0, 1]) t.switch(500, cpu, 0, 0, 600 + cpu);
  t.wake(1000, 7, 500, 1, 0);
  t.feed('sched:sched_migrate_task', { ts: 2000, pid: 7, orig_cpu: 0, dest_cpu: 1 });
  t.feed('sched:sched_migrate_task', { ts: 3000, pid: 7, orig_cpu: 1, dest_cpu: 2 });
  t.switch(4000, 2, 0, 0, 7);
  assert.deepEqual(t.turns[1], [1, 601, 500, 3000, 't601']);
  assert.equal(t.back[0].queueCpu, 0, 'the first queue');
});

test('turns of the idle task are reported where its switches are recorded', () => {
  const t = tasks(0);
  t.switch(1000, 0, 500, S, 0);
  t.switch(3000, 0, 0, 0, 7);
  t.switch(4000, 1, 500, S, 0);
  t.switch(6000, 1, 7, S, 500);
  assert.deepEqual(
    t.turns.map(([cpu, pid, startNs, endNs]) => [cpu, pid, startNs, endNs]),
    [[0, 0, 1000, 3000]],
  );
});
