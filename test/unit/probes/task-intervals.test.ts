/** Tasks on their way off and onto CPUs, from records: what the sink of spans receives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { SwitchIn, TaskSink } from '../../../src/model/intervals.ts';
import { taskIntervals } from '../../../src/probes/helpers/task-intervals.ts';
import { run } from './records.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const S = 1;
const D = 2;
const X = 0x10;
const HARDIRQ = 0x08;
const CULPRIT_NS = 1000;

/** Tasks below 100 are watched, and in a call since 1. */
function tasks(waitThresholdNs = Number.POSITIVE_INFINITY) {
  const turns: [cpu: number, pid: number, startNs: number, endNs: number, comm: string][] = [];
  const moves: [pid: number, cpu: number, atNs: number][] = [];
  const back: SwitchIn[] = [];
  let cameBack: Parameters<TaskSink['watch']>[0] = () => {};
  const sink: TaskSink = {
    waitThresholdNs,
    culpritNs: CULPRIT_NS,
    inCall: (pid) => (pid < 100 ? 1 : 0),
    watch: (of) => {
      cameBack = of;
    },
    ran: (cpu, pid, startNs, endNs, words, commAt) => {
      const comm = Buffer.from(words.buffer, words.byteOffset + 4 * commAt, 16);
      turns.push([cpu, pid, startNs, endNs, comm.toString().replace(/\0.*$/s, '')]);
    },
    moved: (pid, cpu, atNs) => void moves.push([pid, cpu, atNs]),
    switchedIn: (task) => void back.push({ ...task }),
  };
  const h = run(taskIntervals, {}, { intervals: { tasks: sink } });
  return {
    ...h,
    turns,
    back,
    moves,
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
    /** On the waker's CPU, then on that of the task. */
    wake: (ts: number, pid: number, by: number, cpu: number, target = cpu, flags = 0) => {
      h.feed('sched:sched_waking', { ts, cpu, pid, by, flags, target_cpu: target });
      h.feed('sched:sched_wakeup', { ts, cpu, pid, target_cpu: target });
    },
  };
}

test('which task woke a task, and which task had woken that one', () => {
  const t = tasks();
  t.switch(1000, 0, 7, D, 500);
  t.wake(1500, 900, 0, 2, 1, HARDIRQ);
  t.wake(2000, 7, 900, 1, 0);
  t.switch(2500, 0, 500, S, 7);
  const [{ outNs, runnableNs, inNs, state, waker, wakerCpu, wakerWokenNs, wakerWaker, wakerWokenCpu }] =
    t.back;
  assert.deepEqual([outNs, runnableNs, inNs, state], [1000, 2000, 2500, D]);
  assert.deepEqual([waker, wakerCpu], [900, 1]);
  assert.deepEqual([wakerWokenNs, wakerWaker, wakerWokenCpu], [1500, 0, 2]);
});

test('a task woken by a task that another task had woken knows that other one', () => {
  const t = tasks();
  t.switch(1000, 0, 7, D, 500);
  t.wake(1500, 900, 800, 3, 1);
  t.wake(2000, 7, 900, 1, 0);
  t.switch(2500, 0, 500, S, 7);
  assert.deepEqual([t.back[0].wakerWaker, t.back[0].wakerWokenCpu], [800, 3]);
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
  // Woken meanwhile: it ran from then on.
  t.switch(10_000, 1, 7, S, 0);
  t.wake(10_500, 7, 0, 1, 1, HARDIRQ);
  t.switch(12_000, 1, 7, D, 0);
  assert.deepEqual([t.back[1].isSeen, t.back[1].runnableNs, t.back[1].inNs], [false, 10_500, 10_500]);
});

test('nothing that began before a loss is reported', () => {
  const t = tasks(0);
  t.switch(1000, 0, 7, D, 500);
  t.wake(1500, 8, 500, 0);
  t.probe.onLoss?.(0, 2000);
  t.probe.sweep?.();
  t.switch(3000, 0, 500, S, 7);
  t.switch(4000, 0, 7, S, 8);
  assert.deepEqual(t.back, []);
  assert.deepEqual(t.turns, [[0, 7, 3000, 4000, 't7']]);
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
    // Its end is lost.
    t.wake(++ts, pid + 4096, 50, 0);
    t.probe.onLoss?.(0, ++ts);
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
  // The task of the CPU that it waited for first is reported up to the move.
  assert.deepEqual(t.turns[0], [0, 600, 500, 2000, 't600']);
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
