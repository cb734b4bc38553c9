/**
 * Traces of slow operations on the running kernel, with workloads whose operations are known. Each operation must have
 * a trace, at the right time and with the right culprit, or the agent must count that it made none.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { onlineCpus } from '../../src/host/cpus.ts';
import { type Config, type LaunchOptions, makeBench, needTool, settled } from '../support/agent.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';
import type { ReceivedSpan } from '../support/otlp-traces.ts';
import { CLOCKS_NS, MEASURE_AHEAD, ON_CPU_0, OTHER_CPU, type Turn, turnsOf } from '../support/path-cases.ts';
import { watchRaw } from '../support/raw-witness.ts';
import { childrenOf, python, rootsOf, startTraced, type Traced, threadOf } from '../support/traced.ts';
import { watch } from '../support/witness.ts';

const bench = makeBench('traces');
const MS = 1_000_000n;
const READERS = ['raw', 'trace_pipe'] as const;

const traced = (spans: object, more: Config = {}, how: LaunchOptions = {}): Promise<Traced> =>
  startTraced(bench, spans, more, how);

/** Traces are limited to programs of this name, so that a busy machine's other tasks do not fill the queue. */
const NAME = 'ftx-traced';
const PROCESSES = [NAME];
const SET_NAME = `open('/proc/self/comm', 'w').write('${NAME}')`;

const FSYNCS = `
import json, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
brackets = []
for i in range(int(sys.argv[2])):
    os.pwrite(fd, bytes([i % 256]) * 4096, (1 + i) * 65536)
    before = time.time_ns()
    os.fsync(fd)
    brackets.append([str(before), str(time.time_ns())])
print(json.dumps({'pid': os.getpid(), 'brackets': brackets}))
`;

before(() => {
  needTool('python3', 'python3');
  needTool('taskset', 'util-linux');
  needTool('chrt', 'util-linux');
});

for (const reader of READERS) {
  it(`each fsync is a trace, when the program's own clock says, reader ${reader}`, async () => {
    const disk = makeLoopDisk(bench);
    const { agent, settledSpans } = await traced(
      { kinds: { syscalls: { threshold: '1us', include: ['fsync'] }, block: { threshold: '1us' } } },
      { reader },
    );
    const { pid, brackets } = await python<{ pid: number; brackets: [string, string][] }>(FSYNCS, [
      disk.path,
      '50',
    ]);
    const isOfDisk = (span: ReceivedSpan) =>
      span.parentSpanId === '' && span.attributes['system.device'] === disk.name;
    const spans = await settledSpans(
      (some) => rootsOf(some, pid, 'syscall fsync').length >= 50 && some.filter(isOfDisk).length >= 100,
    );
    const roots = rootsOf(spans, pid, 'syscall fsync');
    assert.equal(roots.length, 50);
    for (const [i, root] of roots.entries()) {
      const [earliest, latest] = brackets[i].map(BigInt);
      assert.ok(
        root.start >= earliest - MS && root.end <= latest + MS,
        `${i}: ${root.start} is not within ${brackets[i]}`,
      );
      assert.equal(childrenOf(spans, root).filter(({ name }) => name === 'blocked').length > 0, true);
    }
    // Each fsync writes a page and flushes.
    const requests = spans.filter(isOfDisk);
    const count = (name: string) => requests.filter((span) => span.name === name).length;
    assert.deepEqual([count('block write'), count('block flush')], [50, 50]);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}

/** Ends after a minute, even if the program that started it fails before it ends the hog. */
const HOG = `
import signal
signal.alarm(60)
open('/proc/self/comm', 'w').write('ftx-hog')
while True: pass
`;
/**
 * Starts the hog. Then it sleeps and computes in turn for three seconds, and for three more it makes calls that keep
 * the kernel busy for long. Prints its pid, the hog's pid, and by how much the wall clock is ahead of the monotonic
 * clock.
 */
const WAITER = `
import json, os, subprocess, sys, time
fd = os.open('/dev/zero', os.O_RDONLY)
room = bytearray(1 << 28)
${SET_NAME}
hog = subprocess.Popen(sys.argv[1:])
while open(f'/proc/{hog.pid}/comm').read() != 'ftx-hog\\n': time.sleep(0.01)
end = time.monotonic() + 3
while time.monotonic() < end:
    for i in range(200000): pass
    time.sleep(0.001)
end = time.monotonic() + 3
while time.monotonic() < end: os.readv(fd, [room])
hog.kill()
${MEASURE_AHEAD}
print(json.dumps({'pid': os.getpid(), 'hog': hog.pid, 'ahead': str(ahead)}))
`;
/**
 * For at least this share of the waited time, the trace must name the task that had the CPU for most of the wait. It is
 * not 1, because some machines do not record every event.
 */
const RIGHT_SHARE = 0.8;

/** The agent remembers this many turns of a CPU. */
const REMEMBERED = 4096;

/** How long each task had the CPU between two times, by pid. */
function ranWithin(turns: readonly Turn[], fromNs: number, toNs: number): Map<number, number> {
  const within = turns.filter((turn) => turn.fromNs < toNs && turn.toNs > fromNs).slice(-REMEMBERED);
  const ran = new Map<number, number>();
  for (const turn of within) {
    const ns = Math.min(turn.toNs, toNs) - Math.max(turn.fromNs, fromNs);
    ran.set(turn.pid, (ran.get(turn.pid) ?? 0) + ns);
  }
  return ran;
}

for (const reader of READERS) {
  it(`the trace of a waiter names the hog on its CPU, reader ${reader}`, async () => {
    const { agent, settledSpans } = await traced(
      {
        kinds: {
          sched: { threshold: '1ms', processes: PROCESSES },
          syscalls: { threshold: '1ms', include: ['readv'], processes: PROCESSES },
        },
      },
      { reader },
      { wrapper: OTHER_CPU },
    );
    const witness = watchRaw(bench, { 'sched:sched_switch': 'CPU == 0' });
    const { pid, hog, ahead } = await python<{ pid: number; hog: number; ahead: string }>(
      WAITER,
      ['nice', '-n', '-10', 'python3', '-c', HOG],
      ON_CPU_0,
    );
    // The idle task does not make others wait.
    const turns = turnsOf(witness.events()).filter((turn) => turn.pid !== 0);
    const waitsOf = (some: readonly ReceivedSpan[]) => rootsOf(some, pid, 'runqueue wait');
    const callsOf = (some: readonly ReceivedSpan[]) => rootsOf(some, pid, 'syscall readv');
    const withinCalls = (some: readonly ReceivedSpan[]) =>
      callsOf(some)
        .flatMap((call) => childrenOf(some, call))
        .filter(({ name, start, end }) => name === 'runqueue wait' && end - start >= MS);
    const spans = await settledSpans((some) => waitsOf(some).length > 0 && withinCalls(some).length > 0);
    const [waits, calls, within] = [waitsOf(spans), callsOf(spans), withinCalls(spans)];
    console.log(`${reader}: ${waits.length} waits, ${within.length} within ${calls.length} calls`);
    for (const group of [waits, within]) {
      assert.ok(group.length > 0);
      const timeOf = (some: ReceivedSpan[]) =>
        some.reduce((ns, { start, end }) => ns + Number(end - start), 0);
      const culpritOf = ({ attributes }: ReceivedSpan) => Number(attributes['ftrace.ran_instead.thread.id']);
      const isRight = (span: ReceivedSpan) => {
        const [from, to] = [span.start, span.end].map((wall) => Number(wall - BigInt(ahead)));
        const most = Math.max(0, ...ranWithin(turns, from, to).values());
        if (most === 0) return false;
        // The agent converts times between clocks that differ by some nanoseconds.
        return (ranWithin(turns, from - CLOCKS_NS, to + CLOCKS_NS).get(culpritOf(span)) ?? 0) >= most;
      };
      const share = timeOf(group.filter(isRight)) / timeOf(group);
      assert.ok(share >= RIGHT_SHARE, `of ${timeOf(group)} ns waited the right one is named for ${share}`);
      const named = group.filter((span) => culpritOf(span) === hog);
      assert.ok(named.length > 0, 'the hog is not named');
      // Some spans may have the names that the hog had before it set this one.
      assert.ok(named.some(({ attributes }) => attributes['ftrace.ran_instead.thread.name'] === 'ftx-hog'));
      for (const { start, end, attributes } of group)
        assert.ok(
          // A trace names no task if the events that would show it are not recorded; `RIGHT_SHARE` allows for that.
          Number(attributes['ftrace.ran_instead.time'] ?? 0) * 1e9 <= Number(end - start) + 1,
          `${attributes['ftrace.ran_instead.time']} s of ${end - start} ns`,
        );
    }
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}

describe('every operation over the threshold has an outcome', () => {
  const CALLS = 500;
  const MOST_PER_SECOND = 5;
  /**
   * Each call allocates 64 pages, which takes longer than the threshold. The calls come in groups of a hundred, which
   * exceed the budgets of these tests even if each call waits for a CPU.
   */
  const ALLOCATE = `
import json, os, sys, time
fd = os.memfd_create('ftx')
for i in range(int(sys.argv[1])):
    os.posix_fallocate(fd, 0, 1 << 18)
    os.ftruncate(fd, 0)
    if i % 100 == 99: time.sleep(0.4)
print(json.dumps(os.getpid()))
`;
  const kinds = { syscalls: { threshold: '1us', include: ['fallocate'] } };
  const cases: [what: string, config: Config, outcomes: string[]][] = [
    ['only in memory', { spans: { max_traces_per_second: 10_000, kinds } }, ['kept']],
    ['over budget', { spans: { max_traces_per_second: MOST_PER_SECOND, kinds } }, ['kept', 'over_budget']],
    [
      'with a backend that is not there',
      {
        spans: { max_traces_per_second: MOST_PER_SECOND * 10, kinds },
        otlp: { endpoint: 'http://127.0.0.1:9', metrics: false, trace_export_timeout: '1s' },
      },
      ['failed', 'over_budget'],
    ],
  ];
  for (const [what, config, outcomes] of cases) {
    it(what, async () => {
      const agent = await bench.start(config);
      const others = watch(bench, ['fallocate'], { not: [0] });
      await python(ALLOCATE, [String(CALLS)]);
      const calls = others.count();
      assert.ok(calls >= CALLS);
      const name = 'ftrace_exporter_traces_total';
      const scrape = await settled(agent, (now) => now.sum(name) >= calls);
      // Other programs may have made such calls before the scrape.
      const latest = others.count();
      others.remove();
      const outcomesOfAll = scrape.sum(name);
      assert.ok(
        outcomesOfAll >= calls && outcomesOfAll <= latest,
        `${outcomesOfAll} outcomes of ${calls} to ${latest} calls`,
      );
      const seen = scrape.series(name).filter(({ value }) => value > 0);
      assert.deepEqual(seen.map(({ labels }) => labels.outcome).sort(), outcomes);
      assert.equal(await agent.stop(), 0, agent.stderr());
    });
  }
});

it('a call that fails says why', async () => {
  const { agent, settledSpans } = await traced({
    kinds: { syscalls: { threshold: '1us', include: ['connect'] } },
  });
  const pid = await python<number>(`
import json, os, socket
for i in range(20):
    try: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(('127.0.0.1', 9))
    except ConnectionRefusedError: pass
print(json.dumps(os.getpid()))
`);
  const callsOf = (some: readonly ReceivedSpan[]) => rootsOf(some, pid, 'syscall connect');
  const all = callsOf(await settledSpans((some) => callsOf(some).length >= 20));
  // Some libraries connect to other addresses, for example to look up users.
  const refused = all.filter(({ attributes }) => attributes['ftrace.syscall.return'] === -111);
  assert.equal(refused.length, 20, JSON.stringify(all.map(({ attributes }) => attributes)));
  for (const { status } of refused) assert.deepEqual([status.code, status.message], [2, 'ECONNREFUSED']);
  assert.equal(await agent.stop(), 0, agent.stderr());
});

it('the agent is in none of its traces', async () => {
  // Include all calls, because the slowest become traces, and the agent's own wait for events would be one of them.
  const { agent, settledSpans } = await traced({
    max_traces_per_second: 200,
    kinds: { syscalls: { threshold: '1us', include: ['*'] }, sched: { threshold: '1us' } },
  });
  const threads = new Set(readdirSync(`/proc/${agent.child.pid}/task`).map(Number));
  await sleep(2000);
  assert.equal(await agent.stop(), 0, agent.stderr());
  const spans = await settledSpans((some) => some.length > 100);
  assert.ok(spans.length > 100, `${spans.length} spans`);
  assert.deepEqual(
    spans.filter(
      // A span `ran instead` may be about the agent, because it may have used the CPU for which another task waited.
      (span) =>
        span.name !== 'ran instead' &&
        (threads.has(Number(threadOf(span))) || span.attributes['process.pid'] === agent.child.pid),
    ),
    [],
  );
});

/** Seconds of each sleep. */
const SLEEP = 0.05;
/** Tests two CPUs, because some virtual machines record no events in the idle task of CPUs other than 0. */
for (const cpu of new Set([0, onlineCpus().at(-1) ?? 0])) {
  it(`a sleep on CPU ${cpu} does not count as work`, async () => {
    const { agent, settledSpans } = await traced({
      kinds: { syscalls: { threshold: '20ms', include: ['clock_nanosleep', 'futex'] } },
    });
    const pid = await python<number>(
      `
import json, os, threading, time
lock = threading.Lock()
lock.acquire()
for i in range(10):
    time.sleep(${SLEEP})
    lock.acquire(timeout=${SLEEP})
print(json.dumps(os.getpid()))
`,
      [],
      ['taskset', '-c', String(cpu)],
    );
    const sleepsOf = (some: readonly ReceivedSpan[]) =>
      ['syscall clock_nanosleep', 'syscall futex'].flatMap((name) => rootsOf(some, pid, name));
    const sleeps = sleepsOf(await settledSpans((some) => sleepsOf(some).length >= 20));
    assert.equal(sleeps.length, 20);
    let incomplete = 0;
    for (const root of sleeps) {
      const { name, attributes } = root;
      const seconds = Number(root.end - root.start) / 1e9;
      const off = Number(attributes['ftrace.time.blocked']) + Number(attributes['ftrace.time.runqueue']);
      // Not a share of the whole call: the hypervisor may stop the CPU for milliseconds while the call returns.
      assert.ok(off >= SLEEP * 0.99 && off <= seconds, `${name}: ${off} of ${seconds} s off the CPU`);
      if (attributes['ftrace.incomplete'] === true) incomplete++;
    }
    console.log(`CPU ${cpu}: ${incomplete} of ${sleeps.length} without the event of their return`);
    assert.equal(await agent.stop(), 0, agent.stderr());
  });
}
