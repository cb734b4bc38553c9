/**
 * The text reader on the running kernel: text from `trace_pipe` must give the same records as raw pages of the same
 * events. With a buffer that is far too small, it must pair nothing across a loss and count every event that it reads.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTraceClock } from '../../src/agent/stream/clock.ts';
import { Pipeline } from '../../src/agent/stream/pipeline.ts';
import { makeTextPipeline } from '../../src/agent/stream/text-pipeline.ts';
import { makeDispatcher } from '../../src/decode/dispatch.ts';
import { intReader } from '../../src/decode/fields.ts';
import { parseFormat } from '../../src/decode/format.ts';
import { makeFunctionInterner } from '../../src/decode/text/function-interner.ts';
import type { TextEventType } from '../../src/decode/text/types.ts';
import { onlineCpus } from '../../src/host/cpus.ts';
import type { EventHandler } from '../../src/model/record.ts';
import { createInstance, type Instance } from '../../src/tracefs/instance.ts';
import { openTracePipe } from '../../src/tracefs/trace-pipe.ts';
import { makeBench, type Scrape, TRACEFS } from '../support/agent.ts';
import { callsOver, countsExactly } from '../support/exactly.ts';
import { watch } from '../support/witness.ts';
import { type Call, callOf } from '../unit/decode/text/support.ts';

const bench = makeBench('text');
const BUFFER_BYTES = 16 * 2 ** 20;
const SYSCALL = 'getpriority';
const DURATION = 'ftrace_syscall_duration_seconds';

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  'sched:sched_switch': ['prev_comm', 'prev_pid', 'prev_prio', 'prev_state', 'next_comm', 'next_pid'],
  'sched:sched_wakeup': ['comm', 'pid', 'prio', 'target_cpu'],
  'sched:sched_wakeup_new': ['pid', 'target_cpu'],
  'sched:sched_migrate_task': ['pid', 'orig_cpu', 'dest_cpu'],
  'sched:sched_process_exec': ['filename', 'pid', 'old_pid'],
  'sched:sched_process_exit': ['pid'],
  'raw_syscalls:sys_enter': ['id'],
  'raw_syscalls:sys_exit': ['id', 'ret'],
  'syscalls:sys_enter_openat': [],
  'syscalls:sys_exit_openat': ['ret'],
  'syscalls:sys_enter_fsync': [],
  'syscalls:sys_exit_fsync': ['ret'],
  'irq:irq_handler_entry': ['irq', 'name'],
  'irq:irq_handler_exit': ['irq'],
  'irq:softirq_raise': ['vec'],
  'irq:softirq_entry': ['vec'],
  'irq:softirq_exit': ['vec'],
  'block:block_rq_issue': ['dev', 'sector', 'nr_sector', 'rwbs'],
  'block:block_rq_complete': ['dev', 'sector', 'nr_sector', 'error', 'rwbs'],
};

function typesOf(instance: Instance): TextEventType[] {
  return Object.entries(FIELDS).map(([event, fields]) => {
    const format = parseFormat(event.split(':')[0], instance.metadata().formatText(event) ?? '');
    assert.ok(!('error' in format), event);
    return { event, format, fields };
  });
}

/**
 * Groups events by CPU, by task, and by whether an interrupt recorded them. The order is the same in both buffers only
 * within a group: an interrupt can record its events after one buffer has an event and before the other has it.
 */
function bySequence(calls: readonly Call[]): Map<string, Call[]> {
  return Map.groupBy(calls, ({ cpu, pid, flags }) => `CPU ${cpu}, task ${pid}, in interrupt ${flags & 0x58}`);
}

function newInstance(purpose: string, bufferBytesPerCpu: number): Instance {
  const instance = createInstance(TRACEFS, bench.instanceName(purpose));
  bench.atEnd(() => instance.remove());
  instance.prepare({ bufferBytesPerCpu, subbufferBytes: 4096, clock: 'mono' });
  return instance;
}

const lossesOf = (instance: Instance) => (visit: (cpu: number, lost: number) => void) => {
  for (const cpu of onlineCpus()) {
    const { overrun, commitOverrun, droppedEvents } = instance.stats(cpu);
    visit(cpu, overrun + commitOverrun + droppedEvents);
  }
};

/** Flags that can change between the two records of one event: NEED_RESCHED, NEED_RESCHED_LAZY, PREEMPT_RESCHED. */
const RESCHED = 0x26;
/** An event without its timestamp, which differs because the two buffers record the event one after the other. */
const saying = ({ event, pid, flags, fields }: Call) =>
  JSON.stringify([event, pid, flags & ~RESCHED, fields]);

test('text and raw pages of the same events say the same', async (t) => {
  // These are events of the whole machine. If other programs make a buffer overflow, nothing can be compared.
  for (let attempt = 1; !(await textIsAsRaw()); attempt++) {
    t.diagnostic(`attempt ${attempt}: the buffers were too small for what the machine does`);
    assert.ok(attempt < 5, 'events were lost in every attempt');
  }
});

/** Compares both readers. Returns false if events were lost. */
async function textIsAsRaw(): Promise<boolean> {
  const [raw, text] = [newInstance('raw', BUFFER_BYTES), newInstance('text', BUFFER_BYTES)];
  const types = typesOf(raw);
  const [rawCalls, textCalls]: [Call[], Call[]] = [[], []];
  const handled = (calls: Call[]) =>
    makeDispatcher(
      types.map((type) => {
        const read = callOf(type, undefined);
        return { id: type.format.id, minLength: 8, handler: (record) => calls.push(read(record)) };
      }),
    );
  const failing = (cpu: number, error: string, cause?: unknown) =>
    assert.fail(`CPU ${cpu}: ${error} ${cause ?? ''}`);
  const pages = raw.openPages();
  const rawPlan = { dispatcher: handled(rawCalls), onLoss: () => {} };
  const pipeline = new Pipeline({
    source: pages,
    layout: raw.metadata().layout,
    plan: rawPlan as unknown as ConstructorParameters<typeof Pipeline>[0]['plan'],
    onError: failing,
  });
  const pipe = openTracePipe(text.dir);
  const stream = makeTextPipeline({
    source: pipe,
    plan: { dispatcher: handled(textCalls), types, onLoss: () => {} },
    functions: makeFunctionInterner(),
    cpuCount: text.cpuCount,
    isGraph: false,
    losses: lossesOf(text),
    now: makeTraceClock(),
    onError: failing,
  });
  // Uses hostile task names, starts processes, makes syscalls and writes to the disk.
  const workload = await bench.workload(`
    const fs = require('node:fs');
    const { spawnSync } = require('node:child_process');
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const work = () => {
      for (const name of ['a pid=1 prio=2', 'x\\n-1 [000] d..1', ' prev_pid=5 pre', '] (\\n', 'plain']) {
        fs.writeFileSync('/proc/self/comm', name);
        for (let i = 0; i < 30; i++) { process.ppid; Atomics.wait(pause, 0, 0, 1); }
        spawnSync('/bin/true');
        const fd = fs.openSync('${bench.directory}/file', 'w');
        fs.writeSync(fd, 'x'.repeat(8192));
        fs.fsyncSync(fd);
        fs.closeSync(fd);
      }
    };`);
  for (const instance of [raw, text]) instance.enable(Object.keys(FIELDS));
  raw.start();
  text.start();
  await workload.run();
  text.stop();
  raw.stop();
  const isWhole = [raw, text].every((instance) => {
    let sum = 0;
    lossesOf(instance)((_, lost) => {
      sum += lost;
    });
    return sum === 0;
  });
  stream.flush();
  pipeline.flush();
  pipe.close();
  await workload.end();
  if (!isWhole) return false;

  for (const cpu of onlineCpus()) assert.equal(stream.events(cpu), text.stats(cpu).readEvents);
  // The raw buffer began to record earlier and ended later.
  const [expected, got] = [bySequence(rawCalls), bySequence(textCalls)];
  for (const [sequence, calls] of got) {
    const whole = expected.get(sequence) ?? [];
    const [all, part] = [whole.map(saying), calls.map(saying)];
    const from = all.findIndex((_, i) => part.every((one, j) => all[i + j] === one));
    // This assertion fails and shows the first difference.
    if (from < 0) assert.deepEqual(part, all, sequence);
    // If two events come from one place in the kernel, as sys_enter and sys_enter_openat do, one buffer records both
    // before the other records the first. So a time is between those of the events two before and two after it. Text
    // rounds times to microseconds.
    const stampOf = (i: number, none: number) => whole[from + i]?.timestampNs ?? none;
    calls.forEach(({ timestampNs }, i) => {
      const [earliest, latest] = [stampOf(i - 2, 0) - 1000, stampOf(i + 2, Number.POSITIVE_INFINITY) + 1000];
      assert.ok(
        timestampNs >= earliest && timestampNs <= latest,
        `${sequence}, event ${i}: ${timestampNs} ns is not within ${earliest} and ${latest}`,
      );
    });
  }
  assert.ok(textCalls.length > 2000, `${textCalls.length} events`);
  assert.ok(
    textCalls.some((call) => call.event === 'block:block_rq_complete'),
    'no disk request was recorded',
  );
  return true;
}

/** Minimum numbers of losses and of pairs that make the result meaningful. */
const [LEAST_LOSSES, LEAST_PAIRS] = [10, 1000];

test('with a tiny buffer no pair is made across a loss, and all that is read is counted', async () => {
  const instance = newInstance('tiny', 64 * 1024);
  const formatOf = (event: string, change: (text: string) => string = (same) => same) => {
    const format = parseFormat('raw_syscalls', change(instance.metadata().formatText(event) ?? ''));
    assert.ok(!('error' in format));
    return format;
  };
  // read(2) from /dev/zero returns its third argument, so the start and the end of a call can be matched.
  const enter = formatOf('raw_syscalls:sys_enter', (text) => {
    const offset = Number(/args\[6\];\toffset:(\d+)/.exec(text)?.[1]) + 16;
    return text
      .replace(
        /print fmt/,
        `\tfield:unsigned long count;\toffset:${offset};\tsize:8;\tsigned:0;\n\nprint fmt`,
      )
      .replace('REC->args[2]', 'REC->count');
  });
  const exit = formatOf('raw_syscalls:sys_exit');
  const READ = 0;
  // Range of sizes that other programs hardly use: they read with round sizes.
  const [LEAST, MOST] = [20_001, 60_000];
  const open = new Map<number, number>();
  let [pairs, losses] = [0, 0];
  const [enterId, enterCount, enterPid] = ['id', 'count', 'common_pid'].map((name) => intReader(enter, name));
  const [exitId, exitRet, exitPid] = ['id', 'ret', 'common_pid'].map((name) => intReader(exit, name));
  const workload = await bench.workload(`
    const fs = require('node:fs');
    const fd = fs.openSync('/dev/zero');
    const buffer = Buffer.alloc(${MOST});
    const work = () => {
      const until = performance.now() + 500;
      for (let n = ${LEAST}; performance.now() < until; n = n === ${MOST} ? ${LEAST} : n + 1) fs.readSync(fd, buffer, 0, n, null);
    };`);
  const onEnter: EventHandler = (record) => {
    if (enterPid(record) !== workload.pid) return;
    const count = enterCount(record);
    if (enterId(record) === READ && count >= LEAST && count <= MOST) open.set(workload.pid, count);
    else open.delete(workload.pid);
  };
  const onExit: EventHandler = (record) => {
    const begun = open.get(workload.pid);
    if (exitPid(record) !== workload.pid || begun === undefined) return;
    open.delete(workload.pid);
    assert.equal(exitId(record), READ);
    assert.equal(exitRet(record), begun, 'the end of one call was paired with the start of another');
    pairs++;
  };
  const pipe = openTracePipe(instance.dir);
  const errors: unknown[] = [];
  const stream = makeTextPipeline({
    source: pipe,
    plan: {
      types: [
        { event: 'raw_syscalls:sys_enter', format: enter, fields: ['id', 'count'] },
        { event: 'raw_syscalls:sys_exit', format: exit, fields: ['id', 'ret'] },
      ],
      dispatcher: makeDispatcher([
        { id: enter.id, minLength: 8, handler: onEnter },
        { id: exit.id, minLength: 8, handler: onExit },
      ]),
      onLoss: () => {
        losses++;
        open.clear();
      },
    },
    functions: makeFunctionInterner(),
    cpuCount: instance.cpuCount,
    isGraph: false,
    losses: lossesOf(instance),
    now: makeTraceClock(),
    onError: (...error) => errors.push(error),
  });
  instance.enable(['raw_syscalls:sys_enter', 'raw_syscalls:sys_exit']);
  instance.start();
  const now = makeTraceClock();
  const deadline = performance.now() + 60_000;
  do {
    const done = workload.run().then(() => true);
    while (!(await Promise.race([done, sleep(5, false)]))) stream.tick(now(), 64);
  } while ((losses <= LEAST_LOSSES || pairs <= LEAST_PAIRS) && performance.now() < deadline);
  instance.stop();
  stream.flush();
  pipe.close();
  await workload.end();
  assert.deepEqual(errors, []);
  assert.ok(losses > LEAST_LOSSES, `${losses} losses`);
  assert.ok(pairs > LEAST_PAIRS, `${pairs} pairs`);
  const overrun = onlineCpus().reduce((sum, cpu) => sum + instance.stats(cpu).overrun, 0);
  assert.ok(overrun > 1000, `${overrun} events lost`);
  for (const cpu of onlineCpus()) {
    assert.equal(stream.events(cpu), instance.stats(cpu).readEvents, `events of CPU ${cpu}`);
    assert.ok(stream.flaggedLost(cpu) <= instance.stats(cpu).overrun);
  }
});

const counted = (scrape: Scrape) => scrape.sum(`${DURATION}_count`, { syscall: SYSCALL });

test('an agent that reads text counts calls to the last one', async (t) => {
  const CALLS = 100_000;
  const workload = await bench.workload(
    `const os = require('node:os'); ${callsOver(2000, CALLS, 'os.getPriority(0)')}`,
  );
  const others = watch(bench, [SYSCALL], { not: [workload.pid] });
  const agent = await bench.start({
    reader: 'trace_pipe',
    probes: { syscalls: {}, sched: {}, irq: {}, softirq: {}, block: {} },
  });
  const { last } = await countsExactly({ t, agent, others, counted, work: () => workload.run<number>() });
  assert.equal(last.sum('ftrace_exporter_decode_errors_total'), 0);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.doesNotMatch(agent.stderr(), /another reader takes|has emptied this buffer/);
  await workload.end();
});

test('a second reader of the same text is refused, with what to do', async () => {
  const instance = newInstance('busy', 64 * 1024);
  const pipe = openTracePipe(instance.dir);
  assert.throws(() => openTracePipe(instance.dir), /EBUSY.*another process reads this trace_pipe/);
  pipe.close();
});
