/** Sleeps that are followed to their causes, in constructed cases whose cause is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { D, S } from './intervals.ts';
import { HARDIRQ, ME, machine, ratioOf, SOFTIRQ, summaryOf, treeOf } from './machine.ts';

const HOG = 700;
const KWORKER = 12;
const X = 0x10;

/** The call's task is running on CPU 0, and a hog on CPU 1. Events have shown all tasks before. */
function busy() {
  const m = machine();
  m.name(ME, 'me');
  m.name(HOG, 'stress-ng');
  m.name(KWORKER, 'kworker/1:1');
  for (const pid of [KWORKER, 500]) {
    m.switch(-10, 1, 0, 0, pid);
    m.switch(-9, 1, pid, S, 0);
  }
  m.switch(-8, 1, 0, 0, HOG);
  m.switch(-8, 0, 0, 0, ME);
  return m;
}

test('fsync: the kworker that issues its write waits for a CPU behind a hog', () => {
  const m = busy();
  m.wake(1, KWORKER, ME, 0, 1);
  m.switch(2, 0, ME, D, 0);
  m.switch(22, 1, HOG, 0, KWORKER);
  m.switch(22.2, 1, KWORKER, S, HOG);
  m.interrupt(26, 'irq', 0, () => {
    m.request(22.1, 26, { pid: KWORKER, issuer: KWORKER });
    m.wake(26.01, ME, 0, 0, 0, HARDIRQ);
  });
  m.switch(26.02, 0, 0, 0, ME);
  const trace = m.end('fsync', 28);
  assert.deepEqual(treeOf(trace), [
    'blocked 24.01',
    '  runqueue wait kworker/1:1 20',
    '    ran instead stress-ng 20',
    '  running kworker/1:1 0.1',
    '  block write vda 3.9',
    'runqueue wait 0.01',
    '  cpu idle 0.01',
  ]);
  assert.equal(
    summaryOf(trace),
    '28.0 ms: 20.0 ms kworker/1:1 waited for CPU 1 behind stress-ng, 4.0 ms running, 3.9 ms block write vda',
  );
  assert.ok(ratioOf(trace) > 0.999);
});

test('a request is completed by a task that waits for a CPU: the disk is not to blame', () => {
  const m = busy();
  m.wake(1, KWORKER, ME, 0, 1);
  m.switch(1, 0, ME, D, 0);
  m.switch(21, 1, HOG, 0, KWORKER);
  m.request(1, 22, { device: 'loop0', cpu: 1, completer: KWORKER });
  m.wake(22, ME, KWORKER, 1);
  m.switch(22, 0, 0, 0, ME);
  const trace = m.end('fsync', 23);
  assert.deepEqual(treeOf(trace), [
    'blocked 21',
    '  block write loop0 21',
    '    runqueue wait kworker/1:1 20',
    '      ran instead stress-ng 20',
    '    running kworker/1:1 1',
  ]);
  assert.match(summaryOf(trace), /^23\.0 ms: 20\.0 ms kworker\/1:1 waited for CPU 1 behind stress-ng, /);
});

test('a threaded interrupt handler sleeps while the device works', () => {
  const m = busy();
  m.name(500, 'irq/24-nvme0q1');
  m.switch(1, 0, ME, D, 0);
  m.wake(11, 500, HOG, 1, 1, HARDIRQ);
  m.switch(13, 1, HOG, 0, 500);
  m.request(1, 13.5, { device: 'nvme0n1', cpu: 1, completer: 500 });
  m.wake(13.5, ME, 500, 1);
  m.switch(13.5, 0, 0, 0, ME);
  const trace = m.end('fsync', 14);
  assert.deepEqual(treeOf(trace), [
    'blocked 12.5',
    '  block write nvme0n1 12.5',
    '    runqueue wait irq/24-nvme0q1 2',
    '      ran instead stress-ng 2',
    '    running irq/24-nvme0q1 0.5',
  ]);
  assert.match(summaryOf(trace), /10\.0 ms block write nvme0n1/);
});

test('a request that waits in the queue until its device has room', () => {
  const m = busy();
  m.switch(1, 0, ME, D, 0);
  // An earlier request completes, so the kworker can issue the next one.
  m.interrupt(11, 'irq', 0, () => m.wake(11, KWORKER, 0, 0, 1, HARDIRQ));
  m.switch(13, 1, HOG, 0, KWORKER);
  m.switch(13.5, 1, KWORKER, S, HOG);
  m.interrupt(15, 'irq', 0, () => {
    m.request(13.4, 15, { insertNs: 1e9 + 0.5e6, issuer: KWORKER });
    m.wake(15, ME, 0, 0, 0, HARDIRQ);
  });
  m.switch(15, 0, 0, 0, ME);
  const trace = m.end('read', 16);
  assert.deepEqual(treeOf(trace), [
    'blocked 14',
    '  block queue vda 10',
    '  runqueue wait kworker/1:1 2',
    '    ran instead stress-ng 2',
    '  running kworker/1:1 0.4',
    '  block write vda 1.6',
  ]);
  assert.match(summaryOf(trace), /^16\.0 ms: 10\.0 ms block queue vda, /);
});

test('a pipe whose writer is preempted', () => {
  const m = busy();
  m.name(500, 'writer');
  m.switch(1, 0, ME, S, 0);
  m.wake(1, 500, HOG, 1, 1, HARDIRQ);
  m.switch(2, 1, HOG, 0, 500);
  m.switch(4, 1, 500, 0, HOG);
  m.switch(14, 1, HOG, 0, 500);
  m.wake(15, ME, 500, 1);
  m.switch(15, 0, 0, 0, ME);
  const trace = m.end('read', 16);
  assert.deepEqual(treeOf(trace), [
    'blocked 14',
    '  runqueue wait writer 1',
    '    ran instead stress-ng 1',
    '  running writer 2',
    '  runqueue wait writer 10',
    '    ran instead stress-ng 10',
    '  running writer 1',
  ]);
  assert.equal(ratioOf(trace), 1);
});

test('two hops end in a timer, and one whose sleep began before has only its part', () => {
  const m = busy();
  m.name(500, 'b');
  m.name(501, 'c');
  m.switch(-7, 1, HOG, X, 501);
  m.switch(-6, 1, 501, S, 500);
  m.switch(-5, 1, 500, S, 0);
  m.switch(1, 0, ME, S, 0);
  m.interrupt(21, 'timer', 0, () => m.wake(21, 501, 0, 0, 1, HARDIRQ));
  m.switch(21, 1, 0, 0, 501);
  m.wake(21.5, 500, 501, 1, 0);
  m.switch(21.5, 0, 0, 0, 500);
  m.wake(22, ME, 500, 0);
  m.switch(22, 0, 500, S, ME);
  const trace = m.end('read', 23);
  assert.deepEqual(treeOf(trace), [
    'blocked 21',
    '  blocked b 20.5',
    '    blocked c 20',
    '      timer 20',
    '    running c 0.5',
    '  running b 0.5',
  ]);
  assert.match(summaryOf(trace), /^23\.0 ms: 20\.0 ms timer of c, 2\.0 ms running, 500\.0 µs /);
});

test('a timer that the call itself set is its cause; so is a packet', () => {
  const m = busy();
  m.switch(1, 0, ME, S, 0);
  m.interrupt(11, 'timer', 0, () => m.wake(11, ME, 0, 0, 0, HARDIRQ));
  m.switch(11, 0, 0, 0, ME);
  m.switch(12, 0, ME, S, 0);
  m.feed('irq:softirq_raise', 15, { vec: 3, by: 0, flags: HARDIRQ });
  m.feed('irq:softirq_entry', 15, { vec: 3 });
  // This request completes at the same time, but did not wake the task.
  m.request(13, 14.99, { pid: ME });
  m.wake(15, ME, 0, 0, 0, SOFTIRQ);
  m.switch(15, 0, 0, 0, ME);
  const trace = m.end('epoll_wait', 16);
  assert.deepEqual(treeOf(trace), ['blocked 10', '  timer 10', 'blocked 3', '  softirq 3']);
  assert.equal(summaryOf(trace), '16.0 ms: 10.0 ms timer, 3.0 ms softirq NET_RX, 3.0 ms running');
});

test('data sent on this machine: the sender is followed through the softirq that it raised', () => {
  const m = busy();
  m.name(500, 'sender');
  m.switch(-7, 1, HOG, 0, 500);
  m.switch(-7, 1, 500, 0, HOG);
  m.switch(1, 0, ME, S, 0);
  m.switch(9, 1, HOG, 0, 500);
  m.feed('irq:softirq_raise', 10, { cpu: 1, vec: 3, by: 500 });
  m.feed('irq:softirq_entry', 10, { cpu: 1, vec: 3 });
  m.wake(10, ME, 500, 1, 0, SOFTIRQ);
  m.feed('irq:softirq_exit', 10, { cpu: 1, vec: 3 });
  m.switch(10, 0, 0, 0, ME);
  const trace = m.end('recvfrom', 11);
  assert.deepEqual(treeOf(trace), [
    'blocked 9',
    '  runqueue wait sender 8',
    '    ran instead stress-ng 8',
    '  running sender 1',
  ]);
});

test('softirqs that run in ksoftirqd are its work', () => {
  const m = busy();
  m.name(500, 'ksoftirqd/1');
  m.switch(-7, 1, HOG, 0, 500);
  m.switch(-7, 1, 500, S, HOG);
  m.switch(1, 0, ME, S, 0);
  m.wake(2, 500, HOG, 1, 1, HARDIRQ);
  m.switch(9, 1, HOG, 0, 500);
  m.feed('irq:softirq_entry', 9.5, { cpu: 1, vec: 3 });
  m.wake(10, ME, 500, 1, 0, SOFTIRQ);
  m.switch(10, 0, 0, 0, ME);
  const trace = m.end('recvfrom', 11);
  assert.deepEqual(treeOf(trace).slice(2, 5), [
    '  runqueue wait ksoftirqd/1 7',
    '    ran instead stress-ng 7',
    '  running ksoftirqd/1 1',
  ]);
});

test('a request that ksoftirqd completes waits for it', () => {
  const m = busy();
  m.name(500, 'ksoftirqd/1');
  m.switch(-7, 1, HOG, 0, 500);
  m.switch(-7, 1, 500, S, HOG);
  m.switch(1, 0, ME, D, 0);
  m.wake(3, 500, HOG, 1, 1, HARDIRQ);
  m.switch(9, 1, HOG, 0, 500);
  m.feed('irq:softirq_entry', 9.5, { cpu: 1, vec: 4 });
  m.request(1, 9.99, { cpu: 1, completer: 0 });
  m.wake(10, ME, 500, 1, 0, SOFTIRQ);
  m.switch(10, 0, 0, 0, ME);
  const trace = m.end('fsync', 11);
  assert.deepEqual(treeOf(trace).slice(0, 5), [
    'blocked 9',
    '  block write vda 8.99',
    '    runqueue wait ksoftirqd/1 6',
    '      ran instead stress-ng 6',
    '    running ksoftirqd/1 0.99',
  ]);
  assert.match(summaryOf(trace), /2\.0 ms block write vda/);
});

test('a flush that an interrupt issues comes after the write before it', () => {
  const m = busy();
  m.switch(1, 0, ME, D, 0);
  m.request(0.999, 5, { issuer: ME });
  m.interrupt(9, 'irq', 0, () => {
    m.request(5.01, 9, { operation: 'flush', issuer: 0, pid: HOG, issueCpu: 0 });
    m.wake(9, ME, 0, 0, 0, HARDIRQ);
  });
  m.switch(9, 0, 0, 0, ME);
  const trace = m.end('fsync', 10);
  assert.deepEqual(treeOf(trace), ['blocked 8.001', '  block write vda 4.001', '  block flush vda 3.99']);
});

test('what is not recorded is not known, and laid to nobody', () => {
  const m = busy();
  // No event has shown the waker, task 12345.
  m.switch(1, 0, ME, D, 0);
  m.wake(9, ME, 12345, 1);
  m.switch(9, 0, 0, 0, ME);
  const trace = m.end('fsync', 10);
  assert.deepEqual(treeOf(trace), ['blocked 8']);
  assert.equal(summaryOf(trace), '10.0 ms: 2.0 ms running, 8.0 ms not known');
  assert.equal(ratioOf(trace), 0.2);
});

test('events from before a loss explain nothing after it', () => {
  const m = busy();
  m.name(500, 'writer');
  m.switch(-5, 1, HOG, 0, 500);
  m.wake(-4, HOG, 500, 1, 1);
  m.lose(-1);
  m.switch(1, 0, ME, S, 0);
  // The event that showed when and why task 500 left CPU 1 is lost.
  m.switch(8, 1, HOG, 0, 500);
  m.wake(9, ME, 500, 1);
  m.switch(9, 0, 0, 0, ME);
  const trace = m.end('read', 10);
  assert.deepEqual(treeOf(trace), ['blocked 8', '  running writer 1']);
  assert.equal(summaryOf(trace), '10.0 ms: 2.0 ms running, 1.0 ms writer ran, 7.0 ms not known');
});

test('a chain is followed for eight hops, and says that it is longer', () => {
  const hops = (count: number) => {
    const m = busy();
    for (let i = 0; i <= count; i++) {
      m.switch(-7, 1, HOG, 0, 1000 + i);
      m.switch(-6, 1, 1000 + i, S, HOG);
    }
    m.switch(1, 0, ME, S, 0);
    m.interrupt(20, 'timer', 0, () => m.wake(20, 1000, 0, 0, 1, HARDIRQ));
    for (let i = 0; i <= count; i++) {
      const ms = 20 + i * 2;
      m.switch(ms + 0.5, 1, i === 0 ? HOG : 1000 + i - 1, S, 1000 + i);
      m.wake(ms + 2, i === count ? ME : 1001 + i, 1000 + i, 1, i === count ? 0 : 1);
    }
    const endMs = 22 + count * 2;
    m.switch(endMs, 0, 0, 0, ME);
    return m.end('read', endMs);
  };
  assert.match(summaryOf(hops(6)), /ms timer of t1000/);
  assert.equal(hops(6).spans[0].attributes['ftrace.path.cut'], undefined);
  assert.doesNotMatch(summaryOf(hops(9)), /timer/);
  assert.equal(hops(9).spans[0].attributes['ftrace.path.cut'], true);
});

test('many short steps of a waker are one span', () => {
  const m = busy();
  m.name(500, 'chatty');
  m.switch(1, 0, ME, S, 0);
  for (let i = 0; i < 100; i++) {
    const ms = 1 + i * 0.2;
    m.switch(ms, 1, i === 0 ? HOG : 0, 0, 500);
    if (i === 99) m.wake(ms + 0.1, ME, 500, 1);
    m.switch(ms + 0.1, 1, 500, S, 0);
    m.interrupt(ms + 0.2, 'timer', 0, () => m.wake(ms + 0.2, 500, 0, 0, 1, HARDIRQ));
  }
  m.switch(20.9, 0, 0, 0, ME);
  const trace = m.end('read', 22);
  assert.deepEqual(treeOf(trace)[1], '  short steps chatty 19.9');
  assert.ok(ratioOf(trace) > 0.98, summaryOf(trace));
  assert.match(summaryOf(trace), /10\.0 ms chatty ran/);
});

test('requests that a call does not sleep for are counted', () => {
  const m = busy();
  m.request(1, 3, { issuer: ME, bytes: 8192 });
  m.request(2, 4, { issuer: ME, bytes: 4096 });
  // A request from before the call, one of another task, and, below, one for which the task sleeps.
  m.request(-1, 2, { issuer: ME });
  m.request(2, 5, { pid: HOG, issuer: HOG });
  m.switch(5, 0, ME, D, 0);
  m.interrupt(8, 'irq', 0, () => {
    m.request(5, 8, { issuer: ME });
    m.wake(8, ME, 0, 0, 0, HARDIRQ);
  });
  m.switch(8, 0, 0, 0, ME);
  const { attributes } = m.end('io_submit', 10).spans[0];
  assert.deepEqual(
    [attributes['ftrace.block.issued.requests'], attributes['ftrace.block.issued.bytes']],
    [2, 12288],
  );
});

test('a task whose switches are hidden took the CPU: nobody knows for how long', () => {
  const m = busy();
  m.name(500, 'writer');
  m.switch(-7, 1, HOG, 0, 500);
  m.switch(1, 0, ME, S, 0);
  m.switch(4, 1, 500, 0, 9999);
  // No event shows that task 9999 leaves the CPU and task 500 returns.
  m.wake(10, ME, 500, 1);
  m.switch(10, 0, 0, 0, ME);
  m.switch(11, 0, ME, 0, 9999);
  const trace = m.end('read', 15);
  assert.deepEqual(treeOf(trace).slice(0, 2), ['blocked 9', '  running writer 3']);
  assert.match(summaryOf(trace), /^15\.0 ms: 3\.0 ms writer ran, 2\.0 ms running, 10\.0 ms not known$/);
});

test('the work of a kworker has the name of its function', () => {
  const run = (after: (m: ReturnType<typeof busy>) => void) => {
    const m = busy();
    m.wake(1, KWORKER, ME, 0, 1);
    m.switch(2, 0, ME, D, 0);
    m.switch(4, 1, HOG, 0, KWORKER);
    m.work(4, KWORKER, 42);
    after(m);
    m.wake(9, ME, KWORKER, 1);
    m.switch(9, 0, 0, 0, ME);
    return m.end('fsync', 10);
  };
  const trace = run(() => {});
  assert.equal(
    summaryOf(trace),
    '10.0 ms: 5.0 ms workqueue work_42, 3.0 ms running, 2.0 ms kworker/1:1 waited for CPU 1 behind stress-ng',
  );
  const named = trace.spans.filter(({ attributes }) => attributes['ftrace.workqueue.function'] === 'work_42');
  assert.deepEqual(
    named.map(({ name }) => name),
    ['runqueue wait', 'running'],
  );
  const ended = run((m) => m.feed('workqueue:workqueue_execute_end', 8, { by: KWORKER }));
  assert.match(summaryOf(ended), /5\.0 ms kworker\/1:1 ran/);
  assert.doesNotMatch(summaryOf(run((m) => m.lose(5, 1))), /workqueue/);
});

test('a sleep for a lock of the kernel says so, and the lock explains what nothing else does', () => {
  const m = busy();
  m.name(500, 'holder');
  m.switch(-7, 1, HOG, 0, 500);
  m.feed('lock:contention_begin', 1, { by: ME, own_flags: 32 });
  m.switch(1, 0, ME, D, 0);
  m.wake(5, ME, 500, 1);
  m.switch(5, 0, 0, 0, ME);
  m.feed('lock:contention_end', 5, { by: ME });
  m.feed('lock:contention_begin', 6, { by: ME, own_flags: 4 });
  m.switch(6, 0, ME, D, 0);
  // The task that released the lock is not recorded.
  m.wake(8, ME, 12345, 1);
  m.switch(8, 0, 0, 0, ME);
  m.feed('lock:contention_end', 8, { by: ME });
  m.switch(8, 0, ME, D, 0);
  m.wake(9, ME, 12345, 1);
  m.switch(9, 0, 0, 0, ME);
  const trace = m.end('write', 10);
  const blocked = trace.spans.filter(({ name }) => name === 'blocked');
  assert.deepEqual(
    blocked.map(({ attributes }) => attributes['ftrace.lock.type']),
    ['mutex', 'rwsem_write', undefined],
  );
  assert.equal(
    summaryOf(trace),
    '10.0 ms: 4.0 ms holder ran, 3.0 ms running, 2.0 ms lock rwsem_write, 1.0 ms not known',
  );
});
