/** Waits for a CPU by container, and the containers that used the CPU during the wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ContainerLabels, FIRST_CONTAINER, KERNEL, SYSTEM } from '../../../src/model/containers.ts';
import { sched } from '../../../src/probes/sched.ts';
import { fakeContainers } from './fake-containers.ts';
import { run } from './records.ts';

const WAIT = 'ftrace_container_runqueue_wait_seconds_total';
const PREEMPTIONS = 'ftrace_container_preemptions_total';
const INTERFERENCE = 'ftrace_container_interference_seconds_total';
const TOTAL = 'ftrace_sched_runqueue_wait_seconds_total';
const A: ContainerLabels = ['shop', 'web-0', 'a'];
const B: ContainerLabels = ['shop', 'db-0', 'b'];
const C: ContainerLabels = ['', '', 'c.service'];
const [IN_A, IN_B, IN_C] = [FIRST_CONTAINER, FIRST_CONTAINER + 1, FIRST_CONTAINER + 2];
const RUNNABLE = 0;
const ASLEEP = 1;

function scheduler(
  options: Record<string, unknown> = {},
  named = [A, B, C] as (ContainerLabels | undefined)[],
) {
  const containers = fakeContainers(named);
  // Tasks 10 to 19 are in container a, 20 to 29 in b, 30 to 39 in c; 4 belongs to the kernel, 5 to the system.
  for (let i = 0; i < 10; i++)
    for (const [first, slot] of [
      [10, IN_A],
      [20, IN_B],
      [30, IN_C],
    ])
      containers.table[first + i] = slot;
  containers.table[4] = KERNEL;
  containers.table[5] = SYSTEM;
  const h = run(sched, { per_container: true, ...options }, { host: { containers }, cpuCount: 4 });
  const series = (name: string): Record<string, number> => {
    const family = h.store.snapshot().families.find(({ spec }) => spec.name === name);
    if (family === undefined) return {};
    const width = family.spec.labels.length;
    const all = Array.from({ length: family.seriesCount }, (_, s): [string, number] => [
      family.labelValues
        .slice(s * width, (s + 1) * width)
        .filter((value) => value !== '')
        .join(' '),
      family.values[s],
    ]);
    return Object.fromEntries(all.filter(([, value]) => !Number.isNaN(value)));
  };
  return {
    ...h,
    containers,
    series,
    switch: (ts: number, cpu: number, prev: number, state: number, next: number) =>
      h.feed('sched:sched_switch', {
        ts,
        cpu,
        prev_pid: prev,
        prev_state: state,
        next_pid: next,
        next_prio: 120,
      }),
    wake: (ts: number, pid: number, target = 0) =>
      h.feed('sched:sched_wakeup', { ts, pid, target_cpu: target }),
    waking: (ts: number, pid: number) => h.feed('sched:sched_waking', { ts, pid, target_cpu: 3 }),
    migrate: (ts: number, pid: number, from: number, to: number) =>
      h.feed('sched:sched_migrate_task', { ts, pid, orig_cpu: from, dest_cpu: to }),
  };
}

test('a wait is attributed to the container that has the CPU, as long as it has it', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.wake(2000, 10);
  s.switch(5000, 0, 20, RUNNABLE, 30);
  s.switch(9000, 0, 30, ASLEEP, 10);
  s.switch(12_000, 0, 10, ASLEEP, 20);
  assert.deepEqual(s.series(WAIT), { 'shop web-0 a': 7000, 'shop db-0 b': 7000 });
  assert.deepEqual(s.series(INTERFERENCE), {
    'shop web-0 a shop db-0 b': 3000,
    'shop web-0 a c.service': 4000,
    'shop db-0 b c.service': 4000,
    'shop db-0 b shop web-0 a': 3000,
  });
  assert.deepEqual(s.series(PREEMPTIONS), { 'shop db-0 b other': 1 });
});

test('several tasks wait at once, on several CPUs, and move between them', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.switch(1000, 1, 0, RUNNABLE, 4);
  for (const pid of [10, 11]) s.wake(2000, pid);
  s.migrate(3000, 11, 0, 1);
  s.switch(5000, 0, 20, ASLEEP, 10);
  s.switch(6000, 1, 4, ASLEEP, 11);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop web-0 a shop db-0 b': 4000, 'shop web-0 a kernel': 3000 });
});

test('what loses a CPU, and to what', () => {
  const s = scheduler();
  const takers = [11, 20, 5, 4, 0];
  s.switch(1, 0, 0, RUNNABLE, 10);
  takers.forEach((taker, i) => {
    s.switch(10 * i + 2, 0, 10, RUNNABLE, taker);
    s.switch(10 * i + 3, 0, taker, ASLEEP, 10);
  });
  assert.deepEqual(s.series(PREEMPTIONS), {
    'shop web-0 a self': 2,
    'shop web-0 a other': 1,
    'shop web-0 a system': 1,
    'shop web-0 a kernel': 1,
  });
});

test('a wait on an idle CPU is nobody’s fault', () => {
  const s = scheduler();
  s.switch(1000, 0, 20, ASLEEP, 0);
  s.wake(2000, 10);
  s.switch(2500, 0, 0, RUNNABLE, 10);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop web-0 a idle': 500 });
});

test('of two tasks woken on an idle CPU, one waits for the other, whichever is first', () => {
  for (const [first, second] of [
    [10, 20],
    [20, 10],
  ]) {
    const s = scheduler();
    s.switch(1000, 0, 30, ASLEEP, 0);
    s.wake(2000, 10);
    s.wake(2000, 20);
    s.switch(2500, 0, 0, RUNNABLE, first);
    s.switch(9500, 0, first, ASLEEP, second);
    const waits = Object.values(s.series(WAIT)).reduce((sum, ns) => sum + ns, 0);
    assert.equal(waits, 500 + 7500);
    assert.equal(s.value(TOTAL, '0'), 8000);
    const [victim, hog] = first === 10 ? ['shop db-0 b', 'shop web-0 a'] : ['shop web-0 a', 'shop db-0 b'];
    assert.ok(s.series(INTERFERENCE)[`${victim} ${hog}`] >= 7000, JSON.stringify(s.series(INTERFERENCE)));
  }
});

test('a task that an idle CPU runs unseen, as some virtual machines do, has not waited', () => {
  const s = scheduler();
  s.switch(1000, 0, 30, ASLEEP, 0);
  s.wake(2000, 10);
  s.wake(3000, 20);
  s.switch(9000, 0, 10, ASLEEP, 20);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop db-0 b shop web-0 a': 6000 });
  s.switch(10_000, 0, 20, ASLEEP, 0);
  s.wake(11_000, 10);
  s.switch(12_000, 0, 10, RUNNABLE, 20);
  s.switch(15_000, 0, 20, ASLEEP, 10);
  assert.deepEqual(s.series(WAIT), { 'shop db-0 b': 6000, 'shop web-0 a': 3000 });
});

test('if a switch between two tasks is missing, nobody is blamed for the time in which it happened', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.wake(2000, 10);
  s.switch(5000, 0, 20, RUNNABLE, 5);
  // Task 20 got the CPU back before this switch.
  s.switch(9000, 0, 20, ASLEEP, 10);
  assert.deepEqual(s.series(INTERFERENCE), {
    'shop web-0 a shop db-0 b': 3000,
    'shop web-0 a other': 4000,
    'shop db-0 b other': 4000,
  });
});

test('if a switch is missing, a task that joined others in the queue has waited only since then', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.wake(2000, 10);
  s.wake(3000, 30);
  s.wake(4000, 21);
  s.migrate(5000, 21, 0, 1);
  s.switch(9000, 0, 5, ASLEEP, 10);
  // Task 21 waits on CPU 1, whose running task is unknown, for the last 4000.
  assert.deepEqual(s.series(INTERFERENCE), {
    'shop web-0 a other': 7000,
    'c.service other': 6000,
    'shop db-0 b shop db-0 b': 1000,
    'shop db-0 b other': 4000,
  });
});

test('a wake-up of a running task is no wait', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 10);
  s.wake(2000, 10);
  s.switch(5000, 0, 10, RUNNABLE, 20);
  s.switch(6000, 0, 20, ASLEEP, 10);
  assert.deepEqual(s.series(WAIT), { 'shop web-0 a': 1000 });
});

test('from waking, the wait by container begins in the queue', () => {
  const s = scheduler({ from: 'waking' });
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.waking(1500, 10);
  s.wake(2000, 10);
  s.switch(5000, 0, 20, ASLEEP, 10);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop web-0 a shop db-0 b': 3000 });
});

test('after a loss nobody is known to run or to wait', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.wake(2000, 10);
  s.wake(4000, 11, 9);
  s.probe.onLoss?.(1, 5000);
  s.wake(6000, 12);
  s.switch(8000, 0, 20, ASLEEP, 10);
  s.switch(9000, 0, 10, ASLEEP, 12);
  // Waits up to the last event before the loss still count.
  assert.deepEqual(s.series(INTERFERENCE), {
    'shop web-0 a shop db-0 b': 2000,
    'shop web-0 a other': 2000,
    'shop web-0 a shop web-0 a': 1000,
  });
});

test('a wait that begins and ends within a loss leaves no task in the queue', () => {
  const s = scheduler();
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.probe.onLoss?.(1, 5000);
  s.switch(2000, 0, 20, ASLEEP, 30);
  s.wake(3000, 10);
  s.switch(3500, 0, 30, RUNNABLE, 10);
  s.switch(4000, 0, 10, ASLEEP, 30);
  s.switch(6000, 0, 30, RUNNABLE, 20);
  s.wake(7000, 11);
  s.switch(9000, 0, 20, ASLEEP, 11);
  s.switch(9000, 0, 11, ASLEEP, 30);
  assert.deepEqual(s.series(INTERFERENCE), {
    'c.service shop db-0 b': 3000,
    'shop web-0 a shop db-0 b': 2000,
  });
});

test('a container without a name yet gets its waits when it has one', () => {
  const s = scheduler({}, [A, undefined, C]);
  s.switch(1000, 0, 0, RUNNABLE, 20);
  s.wake(2000, 10);
  s.switch(5000, 0, 20, RUNNABLE, 10);
  s.switch(6000, 0, 10, ASLEEP, 20);
  assert.deepEqual([s.series(WAIT), s.series(INTERFERENCE)], [{}, {}]);
  s.containers.named[1] = B;
  assert.deepEqual(s.series(WAIT), { 'shop web-0 a': 3000, 'shop db-0 b': 1000 });
  assert.deepEqual(s.series(PREEMPTIONS), { 'shop db-0 b other': 1 });
});

test('a restarted container goes on in the same series, and a slot starts from zero', () => {
  const s = scheduler({}, [A, A, C]);
  s.switch(1000, 0, 0, RUNNABLE, 30);
  s.wake(2000, 10);
  s.wake(2000, 20);
  s.switch(5000, 0, 30, RUNNABLE, 10);
  s.switch(5000, 0, 10, ASLEEP, 20);
  assert.deepEqual(s.series(WAIT), { 'shop web-0 a': 6000 });
  s.containers.release(IN_A);
  assert.deepEqual(s.series(WAIT), { 'shop web-0 a': 6000 });
  s.containers.release(IN_B);
  assert.deepEqual(
    [s.series(WAIT)['shop web-0 a'], s.series(INTERFERENCE)['shop web-0 a c.service']],
    [undefined, undefined],
  );
  s.containers.named[0] = B;
  s.switch(6000, 0, 20, ASLEEP, 10);
  assert.deepEqual(Object.keys(s.series(WAIT)).includes('shop db-0 b'), false);
});

test('what a container without a name leaves behind counts as other', () => {
  const s = scheduler({}, [undefined, B, C]);
  s.switch(1000, 0, 0, RUNNABLE, 10);
  s.wake(2000, 20);
  s.switch(5000, 0, 10, RUNNABLE, 20);
  s.switch(6000, 0, 20, ASLEEP, 10);
  s.containers.release(IN_A);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop db-0 b other': 3000, 'other shop db-0 b': 1000 });
  assert.deepEqual(s.series(WAIT), { 'shop db-0 b': 3000, other: 1000 });
});

test('the largest pairs have series of their own, the rest is other', () => {
  const s = scheduler({ interference_pairs: 1 });
  let now = 0;
  /** Task 10 waits `ns` while task `by` uses the CPU. */
  const wait = (by: number, ns: number): void => {
    s.switch(now + 1, 0, 0, RUNNABLE, by);
    s.wake(now + 2, 10);
    s.switch(now + 2 + ns, 0, by, ASLEEP, 10);
    s.switch(now + 3 + ns, 0, 10, ASLEEP, 0);
    now += ns + 10;
  };
  wait(20, 100);
  wait(30, 1000);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop web-0 a c.service': 1000, 'shop web-0 a other': 100 });
  wait(20, 900);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop web-0 a c.service': 1000, 'shop web-0 a other': 1000 });
  wait(20, 5000);
  assert.deepEqual(s.series(INTERFERENCE), { 'shop web-0 a shop db-0 b': 5000, 'shop web-0 a other': 1000 });
  assert.deepEqual(s.series(WAIT), { 'shop web-0 a': 7000 });
});

test('200 containers that all make each other wait stay within the samples of docs/sizing.md', () => {
  const named = Array.from({ length: 200 }, (_, i): ContainerLabels => ['shop', `web-${i}`, 'a']);
  const s = scheduler({}, named);
  const all = [KERNEL, SYSTEM, ...named.map((_, i) => FIRST_CONTAINER + i)];
  const pids = all.map((slot, i) => {
    s.containers.table[1000 + i] = slot;
    s.containers.table[3000 + i] = slot;
    return 1000 + i;
  });
  let now = 1;
  for (const pid of pids) {
    for (const by of [pid + 2000, pids[(pid + 7) % pids.length], 5, 4, 0]) {
      s.switch(now++, 0, 0, RUNNABLE, pid);
      s.switch(now++, 0, pid, RUNNABLE, by);
      s.switch(now++, 0, by, ASLEEP, pid);
      s.switch(now++, 0, pid, ASLEEP, 0);
    }
  }
  const count = (name: string) => Object.keys(s.series(name)).length;
  const samples = count(WAIT) + count(PREEMPTIONS) + count(INTERFERENCE);
  // Each container has two more samples from its control group, and the agent has 8 about these families.
  assert.ok(samples > 1000 && samples + 2 * 200 + 8 <= 1730, `${samples} samples`);
});

/** Simulates a scheduler with a queue per CPU, feeds its events to the probe, and compares the waits of both. */
function simulate(steps: readonly (readonly [kind: number, cpu: number, task: number, ns: number])[]): void {
  const s = scheduler({ interference_pairs: 1000 });
  const tasks = [10, 11, 12, 20, 21, 30, 4, 5];
  const nameOf = (pid: number) =>
    pid === 0
      ? 'idle'
      : s.containers
          .labels(s.containers.table[pid])
          ?.filter((part) => part !== '')
          .join(' ');
  const running = [0, 0, 0, 0];
  const expected = [0, 0, 0, 0];
  const queues: number[][] = [[], [], [], []];
  const truth = new Map<string, number>();
  let now = 1000;
  for (const cpu of running.keys()) s.switch(now, cpu, 30, ASLEEP, 0);
  const isUsed = (pid: number) => running.includes(pid) || queues.some((queue) => queue.includes(pid));
  for (const [kind, cpu, task, ns] of steps) {
    for (const [at, queue] of queues.entries())
      for (const pid of queue) {
        const by = expected[at] === pid ? 0 : expected[at] || running[at];
        const pair = `${nameOf(pid)} ${nameOf(by)}`;
        truth.set(pair, (truth.get(pair) ?? 0) + ns);
      }
    now += ns;
    const pid = tasks[task % tasks.length];
    const queue = queues[cpu];
    const other = (cpu + 1) % 4;
    if (kind === 0 && !isUsed(pid)) {
      if (running[cpu] === 0 && queue.length === 0) expected[cpu] = pid;
      queue.push(pid);
      s.wake(now, pid, cpu);
    } else if (kind === 1 && queue.length > 0) {
      const prev = running[cpu];
      const [next] = queue.splice(task % queue.length, 1);
      if (prev !== 0 && task % 2 === 0) queue.push(prev);
      s.switch(now, cpu, prev, task % 2 === 0 ? RUNNABLE : ASLEEP, next);
      running[cpu] = next;
      expected[cpu] = 0;
    } else if (kind === 2 && running[cpu] !== 0 && expected[cpu] === 0) {
      s.switch(now, cpu, running[cpu], ASLEEP, 0);
      running[cpu] = 0;
    } else if (kind === 3 && queue.length > 0 && (expected[other] !== 0 || running[other] !== 0)) {
      const [moved] = queue.splice(task % queue.length, 1);
      if (expected[cpu] === moved) expected[cpu] = 0;
      queues[other].push(moved);
      s.migrate(now, moved, cpu, other);
    }
  }
  // All waiting tasks run once, so that all waits have ended.
  for (const [cpu, queue] of queues.entries())
    for (const next of queue.splice(0)) {
      s.switch(now, cpu, running[cpu], ASLEEP, next);
      running[cpu] = next;
    }
  const waits = s.series(WAIT);
  const pairs = s.series(INTERFERENCE);
  const sum = (values: Iterable<number>) => [...values].reduce((total, ns) => total + ns, 0);
  assert.deepEqual(pairs, Object.fromEntries([...truth].filter(([, ns]) => ns > 0)));
  assert.equal(sum(Object.values(pairs)), sum(Object.values(waits)));
  const all = [0, 1, 2, 3].map((cpu) => s.value(TOTAL, String(cpu)) ?? 0);
  assert.equal(sum(Object.values(waits)), sum(all), 'the waits of all containers are all waits');
}

test('whatever happens: each nanosecond of a wait is attributed to what ran, and sums are exact', () => {
  const step = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(40), fc.integer({ min: 1, max: 5000 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => simulate(steps)),
    { numRuns: 200 },
  );
});
