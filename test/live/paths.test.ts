/**
 * Blocked times that are followed to their causes on the running kernel, in cases whose answer is known: at least 95 % of
 * the time has a named cause, and none is attributed to a task that did not have the CPU then. A second reader of the kernel's
 * switches says which task had CPU 0 when. All tasks of a case are on CPU 0, because not every machine records events in
 * the idle task of other CPUs.
 */
import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { onlineCpus } from '../../src/host/cpus.ts';
import { makeBench, needTool } from '../support/agent.ts';
import type { ReceivedSpan } from '../support/otlp-traces.ts';
import { type WitnessedEvent, watchRaw } from '../support/raw-witness.ts';
import { childrenOf, python, rootsOf, startTraced } from '../support/traced.ts';

const bench = makeBench('paths');
const RUNS = 20;
const EXPLAINED = 0.95;
/** The agent's wall clock, the one of the test and the clock of the events are not the same to the nanosecond. */
const CLOCKS_NS = 200_000;

before(() => {
  needTool('python3', 'python3');
  needTool('taskset', 'util-linux');
});

/** Names itself, makes children that end with it, and says by how much the wall clock is ahead of the monotonic one. */
const PRELUDE = `
import json, multiprocessing, os, select, signal, socket, sys, time
RUNS = ${RUNS}
children = []
def name(text): open('/proc/self/comm', 'w').write(text)
def child(text, work, nice=0):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        name(text)
        os.nice(nice)
        work()
        os._exit(0)
    children.append(pid)
    return pid
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
def hog():
    while True: pass
def finish():
    for pid in children:
        try: os.kill(pid, 9)
        except ProcessLookupError: pass
    looks = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for i in range(50)]
    first, wall, last = min(looks, key=lambda look: look[2] - look[0])
    print(json.dumps({'pid': os.getpid(), 'ahead': str(wall - first)}))
name('ftp-me')
`;

interface Case {
  what: string;
  syscall: string;
  script: string;
  /** What the tree of each trace that took long enough must have, and how often at least. */
  expected(root: ReceivedSpan, below: readonly ReceivedSpan[]): boolean;
  atLeast: number;
}

const isOf = (span: ReceivedSpan, name: string, comm: string) =>
  span.name === name && span.attributes['thread.name'] === comm;
const lasts = (spans: readonly ReceivedSpan[], isOne: (span: ReceivedSpan) => boolean) =>
  spans.filter(isOne).reduce((ns, { start, end }) => ns + Number(end - start), 0);

const CASES: Case[] = [
  {
    what: 'a sleep ends with its timer',
    syscall: 'clock_nanosleep',
    script: 'for i in range(RUNS): time.sleep(0.02)\n',
    expected: (_root, below) => lasts(below, ({ name }) => name === 'timer') >= 19e6,
    atLeast: RUNS,
  },
  {
    what: 'two hops: the task that another one waits for sleeps',
    syscall: 'read',
    script: `
mine, b_writes = os.pipe()
b_reads, c_writes = os.pipe()
def b():
    for i in range(RUNS + 5): os.read(b_reads, 1); os.write(b_writes, b'x')
def c():
    for i in range(RUNS + 5): time.sleep(0.02); os.write(c_writes, b'x')
child('ftp-b', b)
child('ftp-c', c)
for i in range(RUNS + 5): os.read(mine, 1)
`,
    expected: (_root, below) =>
      below.some((span) => isOf(span, 'blocked', 'ftp-b')) && lasts(below, (s) => s.name === 'timer') >= 10e6,
    atLeast: RUNS,
  },
  {
    what: 'the writer of a pipe waits for a CPU',
    syscall: 'read',
    script: `
mine, writes = os.pipe()
def writer():
    for i in range(RUNS + 5):
        time.sleep(0.005)
        spin(0.01)
        os.write(writes, b'x')
child('ftp-writer', writer)
child('ftp-hog', hog, -5)
for i in range(RUNS + 5): os.read(mine, 1)
`,
    expected: (_root, below) =>
      below.some((span) => isOf(span, 'runqueue wait', 'ftp-writer')) &&
      below.some((span) => isOf(span, 'running', 'ftp-writer') || isOf(span, 'short steps', 'ftp-writer')),
    atLeast: RUNS,
  },
  {
    what: 'the holder of a futex is preempted',
    syscall: 'futex',
    script: `
lock = multiprocessing.Lock()
mine, writes = os.pipe()
def holder():
    for i in range(RUNS + 5):
        lock.acquire()
        os.write(writes, b'x')
        spin(0.012)
        lock.release()
        time.sleep(0.02)
child('ftp-holder', holder)
child('ftp-hog', hog, -5)
for i in range(RUNS + 5):
    os.read(mine, 1)
    lock.acquire()
    lock.release()
`,
    expected: (_root, below) => below.some((span) => isOf(span, 'runqueue wait', 'ftp-holder')),
    // The lock may be free by the time that it is asked for.
    atLeast: RUNS / 2,
  },
  {
    what: 'the peer of a connection on this machine waits for a CPU',
    syscall: 'epoll_wait',
    script: `
server = socket.create_server(('127.0.0.1', 0))
theirs = socket.create_connection(server.getsockname())
mine, _ = server.accept()
def sender():
    for i in range(RUNS + 5):
        time.sleep(0.008)
        spin(0.004)
        theirs.send(b'x')
child('ftp-sender', sender)
child('ftp-hog', hog, -5)
poll = select.epoll()
poll.register(mine, select.EPOLLIN)
for i in range(RUNS + 5):
    poll.poll()
    mine.recv(1)
`,
    expected: (_root, below) => below.some(({ attributes }) => attributes['thread.name'] === 'ftp-sender'),
    atLeast: RUNS,
  },
  {
    what: 'fsync behind a hog',
    syscall: 'fsync',
    script: `
child('ftp-hog', hog, -5)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for i in range(4 * RUNS):
    os.pwrite(fd, os.urandom(65536), i * 65536)
    os.fsync(fd)
`,
    expected: (_root, below) =>
      below.some(({ name }) => name.startsWith('block ')) &&
      below.some(({ name }) => name === 'runqueue wait'),
    atLeast: 0,
  },
];

/** All spans below one, in any depth. */
function allBelow(spans: readonly ReceivedSpan[], span: ReceivedSpan): ReceivedSpan[] {
  return childrenOf(spans, span).flatMap((child) => [child, ...allBelow(spans, child)]);
}

interface Turn {
  pid: number;
  fromNs: number;
  toNs: number;
}

/** Turns on CPU 0 by the kernel's switches there. */
function turnsOf(switches: readonly WitnessedEvent[]): Turn[] {
  return switches.slice(0, -1).flatMap((event, i) => {
    const [pid, next] = [event.number('next_pid'), switches[i + 1]];
    return next.number('prev_pid') === pid ? [{ pid, fromNs: event.ns, toNs: next.ns }] : [];
  });
}

/** Of a span that says that a task had CPU 0: the time in which another one had it. */
function wrongNs(span: ReceivedSpan, turns: readonly Turn[], aheadNs: bigint): number {
  const [from, to] = [Number(span.start - aheadNs) + CLOCKS_NS, Number(span.end - aheadNs) - CLOCKS_NS];
  const pid = span.attributes['ftrace.thread.id'];
  return turns
    .filter((turn) => turn.pid !== pid && turn.fromNs < to && turn.toNs > from && to > from)
    .reduce((ns, turn) => ns + Math.min(turn.toNs, to) - Math.max(turn.fromNs, from), 0);
}

/** Time of a call for which it is recorded which task had CPU 0. */
function recordedNs({ start, end }: ReceivedSpan, turns: readonly Turn[], aheadNs: bigint): number {
  const [from, to] = [Number(start - aheadNs), Number(end - aheadNs)];
  return turns.reduce(
    (ns, turn) => ns + Math.max(0, Math.min(turn.toNs, to) - Math.max(turn.fromNs, from)),
    0,
  );
}

const saysWhoRan = ({ name, attributes }: ReceivedSpan) =>
  (name === 'running' || name === 'ran instead') &&
  attributes['cpu.logical_number'] === 0 &&
  attributes['ftrace.thread.id'] !== undefined;

for (const { what, syscall, script, expected, atLeast } of CASES) {
  it(what, async () => {
    const { agent, settledSpans } = await startTraced(
      bench,
      { kinds: { syscalls: { threshold: '5ms', include: [syscall], processes: ['ftp-me'] } } },
      {},
      { wrapper: ['taskset', '-c', String(onlineCpus().at(-1) ?? 0)] },
    );
    const witness = watchRaw(bench, { 'sched:sched_switch': 'CPU == 0' });
    const { pid, ahead } = await python<{ pid: number; ahead: string }>(
      `${PRELUDE}${script}finish()\n`,
      [`${bench.directory}/file`],
      ['taskset', '-c', '0'],
    );
    const turns = turnsOf(witness.events());
    const callsOf = (some: readonly ReceivedSpan[]) => rootsOf(some, pid, `syscall ${syscall}`);
    const spans = await settledSpans((some) => callsOf(some).length >= Math.max(1, atLeast));
    const calls = callsOf(spans);
    const trees = calls.map((root) => ({ root, below: allBelow(spans, root) }));
    const wholeNs = lasts(calls, () => true);
    const ratioOf = ({ attributes }: ReceivedSpan) => Number(attributes['ftrace.explained_ratio']);
    const explainedNs = calls.reduce((ns, call) => ns + Number(call.end - call.start) * ratioOf(call), 0);
    // On some machines the kernel hides switches of tasks that belong to the hypervisor.
    const knownNs = calls.reduce((ns, call) => ns + recordedNs(call, turns, BigInt(ahead)), 0);
    const explained = explainedNs / Math.max(1, knownNs);
    const claims = trees.flatMap(({ below }) => below.filter(saysWhoRan));
    const wrong =
      claims.reduce((ns, span) => ns + wrongNs(span, turns, BigInt(ahead)), 0) / Math.max(1, wholeNs);
    const right = trees.filter(({ root, below }) => expected(root, below)).length;
    console.log(
      `${what}: ${calls.length} calls, ${right} as expected, explained ${explained.toFixed(4)}, wrong ${wrong.toFixed(4)}; ${calls.at(-1)?.attributes['ftrace.summary']}`,
    );
    assert.ok(right >= atLeast, `${right} of ${calls.length} calls are as expected, not ${atLeast}`);
    if (calls.length > 0) assert.ok(explained >= EXPLAINED, `${explained} of the time is explained`);
    assert.ok(
      wrong <= 1 - EXPLAINED,
      `${wrong} of the time is attributed to tasks that did not have the CPU`,
    );
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}
