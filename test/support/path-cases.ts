/**
 * Runs Python programs that make slow calls with a known cause, and compares their traces with the kernel's events,
 * which another reader has recorded.
 */
import assert from 'node:assert/strict';
import { onlineCpus } from '../../src/host/cpus.ts';
import type { Bench } from './agent.ts';
import type { ReceivedSpan } from './otlp-traces.ts';
import { type WitnessedEvent, watchRaw } from './raw-witness.ts';
import { allBelow, python, rootsOf, startTraced } from './traced.ts';

export const RUNS = 20;
const EXPLAINED = 0.95;
/** Accepted difference of times: agent and test convert the events' clock to the wall clock, with small errors. */
export const CLOCKS_NS = 200_000;
export const ON_CPU_0 = ['taskset', '-c', '0'];
const LAST_CPU = onlineCpus().at(-1) ?? 0;
/** Runs the agent on a different CPU from the cases, because otherwise the agent could make their tasks wait. */
export const OTHER_CPU = ['taskset', '-c', String(LAST_CPU)];

/** Python code that sets `ahead`: by how many nanoseconds the wall clock is ahead of the monotonic clock. */
export const MEASURE_AHEAD = `
looks = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for i in range(50)]
first, wall, last = min(looks, key=lambda look: look[2] - look[0])
ahead = wall - first
`;

/**
 * Python functions for the cases. `finish()` kills the children, and prints the program's pid and `ahead`. While the
 * program runs, the agent's CPU is never idle: on some machines the kernel records no events of the idle task of a CPU,
 * and none of the interrupts during its turns. So a trace would not say what tasks of the kernel wait for on that CPU.
 */
export const PRELUDE = `
import json, multiprocessing, os, select, signal, socket, sys, time
RUNS = ${RUNS}
children = []
signal.alarm(120)
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
def own_group(nice):
    os.setsid()
    try: open('/proc/self/autogroup', 'w').write(str(nice))
    except FileNotFoundError: pass
def keep_awake():
    own_group(19)
    os.sched_setaffinity(0, [${LAST_CPU}])
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    hog()
def above_others(): own_group(-20)
def finish():
    for pid in children:
        try: os.kill(pid, 9)
        except ProcessLookupError: pass
    ${MEASURE_AHEAD.trim().replaceAll('\n', '\n    ')}
    print(json.dumps({'pid': os.getpid(), 'ahead': str(ahead)}))
def slow_fsyncs(size):
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
    end = time.monotonic() + 60
    slow = 0
    while slow < 2 * RUNS and time.monotonic() < end:
        os.pwrite(fd, os.urandom(size), slow * size)
        start = time.monotonic()
        os.fsync(fd)
        slow += time.monotonic() - start > 0.0012
name('ftp-me')
if ${LAST_CPU}: child('ftp-awake', keep_awake)
`;

/** Reads from a pipe whose writer waits for the CPU behind a hog. */
export const READS_BEHIND_A_HOG = `
above_others()
mine, writes = os.pipe()
def writer():
    for i in range(RUNS + 5):
        time.sleep(0.005)
        spin(0.01)
        os.write(writes, b'x')
child('ftp-writer', writer)
child('ftp-hog', hog, -5)
for i in range(RUNS + 5): os.read(mine, 1)
`;

export interface PathCase {
  what: string;
  syscall: string;
  /** Default: 5ms. */
  threshold?: string;
  script: string;
  /** Whether a trace shows the known cause. This must be so for at least `atLeast` traces. */
  expected(root: ReceivedSpan, below: readonly ReceivedSpan[]): boolean;
  atLeast: number;
}

export const isOf = (span: ReceivedSpan, name: string, comm: string) =>
  span.name === name && span.attributes['thread.name'] === comm;
export const lasts = (spans: readonly ReceivedSpan[], isOne: (span: ReceivedSpan) => boolean) =>
  spans.filter(isOne).reduce((ns, { start, end }) => ns + Number(end - start), 0);

export interface Turn {
  pid: number;
  fromNs: number;
  toNs: number;
}

/** Returns the periods in which one task ran on CPU 0, from the sched_switch events of this CPU. */
export function turnsOf(switches: readonly WitnessedEvent[]): Turn[] {
  return switches.slice(0, -1).flatMap((event, i) => {
    const [pid, next] = [event.number('next_pid'), switches[i + 1]];
    return next.number('prev_pid') === pid ? [{ pid, fromNs: event.ns, toNs: next.ns }] : [];
  });
}

/** Returns how long CPU 0 ran other tasks during a span that shows one task as running there. */
function wrongNs(span: ReceivedSpan, turns: readonly Turn[], aheadNs: bigint): number {
  const [from, to] = [Number(span.start - aheadNs) + CLOCKS_NS, Number(span.end - aheadNs) - CLOCKS_NS];
  const pid = span.attributes['ftrace.thread.id'];
  return turns
    .filter((turn) => turn.pid !== pid && turn.fromNs < to && turn.toNs > from && to > from)
    .reduce((ns, turn) => ns + Math.min(turn.toNs, to) - Math.max(turn.fromNs, from), 0);
}

/** Returns the part of a call's time in which events show which task was running on CPU 0. */
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

/** Returns the total time of `block …` spans that end at a time when the kernel completed no request. */
function wrongRequestNs(
  spans: readonly ReceivedSpan[],
  completed: readonly WitnessedEvent[],
  aheadNs: bigint,
): number {
  const isWrong = ({ name, end, attributes }: ReceivedSpan) =>
    name.startsWith('block ') &&
    attributes['ftrace.block.sector'] !== undefined &&
    !completed.some(({ ns }) => Math.abs(Number(end - aheadNs) - ns) < CLOCKS_NS);
  return lasts(spans, isWrong);
}

/** The traced calls of a case, each with all spans below its root. */
export interface Trees {
  pid: number;
  trees: { root: ReceivedSpan; below: ReceivedSpan[] }[];
}

/** Runs a case and checks its traces. `during` gets a function that runs the program, and must call it. */
export async function checkPathCase(
  bench: Bench,
  { what, syscall, script, expected, atLeast, threshold = '5ms' }: PathCase,
  during: <T>(run: () => Promise<T>) => Promise<T> = (run) => run(),
): Promise<Trees> {
  const { agent, settledSpans } = await startTraced(
    bench,
    { kinds: { syscalls: { threshold, include: [syscall], processes: ['ftp-me'] } } },
    {},
    { wrapper: OTHER_CPU },
  );
  const witness = watchRaw(bench, { 'sched:sched_switch': 'CPU == 0', 'block:block_rq_complete': '0' });
  const { pid, ahead } = await during(() =>
    python<{ pid: number; ahead: string }>(
      `${PRELUDE}${script}finish()\n`,
      [`${bench.directory}/file`],
      ON_CPU_0,
    ),
  );
  const aheadNs = BigInt(ahead);
  const witnessed = witness.events();
  const turns = turnsOf(witnessed.filter(({ event }) => event === 'sched:sched_switch'));
  const completed = witnessed.filter(({ event }) => event === 'block:block_rq_complete');
  const callsOf = (some: readonly ReceivedSpan[]) => rootsOf(some, pid, `syscall ${syscall}`);
  const spans = await settledSpans((some) => callsOf(some).length >= Math.max(1, atLeast));
  const calls = callsOf(spans);
  const trees = calls.map((root) => ({ root, below: allBelow(spans, root) }));
  const wholeNs = Math.max(
    1,
    lasts(calls, () => true),
  );
  const ratioOf = ({ attributes }: ReceivedSpan) => Number(attributes['ftrace.explained_ratio']);
  const explainedNs = calls.reduce((ns, call) => ns + Number(call.end - call.start) * ratioOf(call), 0);
  // On some machines the kernel hides switches of tasks that belong to the hypervisor, so leave out such times.
  const knownNs = calls.reduce((ns, call) => ns + recordedNs(call, turns, aheadNs), 0);
  const explained = explainedNs / Math.max(1, knownNs);
  const below = trees.flatMap((tree) => tree.below);
  const wrongTurnsNs = below.filter(saysWhoRan).reduce((ns, span) => ns + wrongNs(span, turns, aheadNs), 0);
  const wrong = (wrongTurnsNs + wrongRequestNs(below, completed, aheadNs)) / wholeNs;
  const right = trees.filter((tree) => expected(tree.root, tree.below)).length;
  console.log(
    `${what}: ${calls.length} calls, ${right} as expected, explained ${explained.toFixed(4)}, wrong ${wrong.toFixed(4)}; ${calls.at(-1)?.attributes['ftrace.summary']}`,
  );
  assert.ok(right >= atLeast, `${right} of ${calls.length} calls are as expected, not ${atLeast}`);
  if (calls.length > 0) assert.ok(explained >= EXPLAINED, `${explained} of the time is explained`);
  assert.ok(
    wrong <= 1 - EXPLAINED,
    `${wrong} of the time is attributed to tasks that did not have the CPU, or to requests that did not end then`,
  );
  assert.equal(await agent.stop(), 0, agent.stderr());
  return { pid, trees };
}
