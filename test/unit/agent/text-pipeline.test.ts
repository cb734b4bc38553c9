import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makeTextPipeline, type TextPipelineOptions } from '../../../src/agent/stream/text-pipeline.ts';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { intReader } from '../../../src/decode/fields.ts';
import { makeFunctionInterner } from '../../../src/decode/text/function-interner.ts';
import { lineOf, typeOf } from '../decode/text/support.ts';

const WAKEUP = typeOf('formats-6.18', 'sched:sched_wakeup', ['pid']);
const pidOf = intReader(WAKEUP.format, 'pid');

/** A line of the event sched_wakeup. */
function wakeup(pid: number, ms: number, cpu = 0): string {
  const stamp = (ms / 1000).toFixed(6).padStart(12);
  return lineOf(`sched_wakeup: comm=a pid=${pid} prio=1 target_cpu=001`, { cpu, stamp });
}

interface Given extends Partial<TextPipelineOptions> {
  /** What each read returns; an empty text means that there is nothing at the moment. */
  reads: string[];
  lost?: () => number[];
  nowMs?: number;
}

function pipelineOf({ reads, lost, nowMs = 1e6, ...more }: Given) {
  const seen: string[] = [];
  let rest = Buffer.alloc(0);
  const pipeline = makeTextPipeline({
    longestTickMs: Number.POSITIVE_INFINITY,
    source: {
      readText: (into) => {
        if (rest.length === 0) rest = Buffer.from(reads.shift() ?? '');
        const length = rest.copy(into);
        rest = rest.subarray(length);
        seen.push(length === 0 ? 'dry' : 'read');
        return length;
      },
    },
    plan: {
      types: [WAKEUP],
      dispatcher: makeDispatcher([
        { id: WAKEUP.format.id, minLength: 8, handler: (record) => seen.push(String(pidOf(record))) },
      ]),
      onLoss: (cpu, untilNs) => seen.push(`loss of CPU ${cpu} until ${untilNs / 1e6}`),
    },
    functions: makeFunctionInterner(),
    cpuCount: 4,
    isGraph: false,
    ...(lost
      ? {
          losses: (visit) => {
            for (const [cpu, count] of lost().entries()) visit(cpu, count);
          },
        }
      : {}),
    now: () => nowMs * 1e6,
    onError: (cpu, error) => seen.push(`${error} on CPU ${cpu}`),
    ...more,
  });
  return { pipeline, seen };
}

const none = () => [0, 0];

describe('the text pipeline', () => {
  it('reads until there is nothing more, then decodes', () => {
    const { pipeline, seen } = pipelineOf({ reads: [wakeup(1, 1) + wakeup(2, 2), wakeup(3, 3)], lost: none });
    pipeline.tick(1e12, 100);
    assert.deepEqual(seen, ['read', 'read', 'dry', '1', '2', '3']);
    assert.deepEqual([pipeline.events(0), pipeline.events(1)], [3, 0]);
    assert.ok(pipeline.bytesRead(0) > 3 * 24);
  });

  it('stops at a line from after the start of the tick, because its own reads are traced too', () => {
    const endless = Array.from({ length: 50 }, (_, i) => wakeup(i, i));
    const { pipeline, seen } = pipelineOf({ reads: endless, lost: none });
    pipeline.tick(3e6, 100);
    assert.deepEqual(seen.filter((what) => what === 'read').length, 4);
    assert.deepEqual(seen.slice(-4), ['0', '1', '2', '3']);
    pipeline.tick(5e6, 100);
    assert.deepEqual(seen.slice(-2), ['4', '5']);
  });

  it('keeps to the limits of reads per round and of rounds', () => {
    const many = wakeup(7, 1).repeat(800);
    const { pipeline, seen } = pipelineOf({ reads: Array(20).fill(many), lost: none, roundBytes: 1 << 16 });
    pipeline.tick(1e12, 2);
    assert.equal(seen.filter((what) => what === 'read').length, 2);
    assert.equal(pipeline.events(0), 1600);
    pipeline.flush();
    assert.equal(pipeline.events(0), 16_000);
  });

  it('ends a tick that takes long, reports that, and goes on in the next', () => {
    const many = wakeup(7, 1).repeat(800);
    const { pipeline } = pipelineOf({ reads: Array(3).fill(many), roundBytes: 1 << 16, longestTickMs: 0 });
    assert.equal(pipeline.tick(1e12, 100), false);
    const first = pipeline.events(0);
    assert.ok(first > 0 && first <= 800, `${first} events`);
    while (!pipeline.tick(1e12, 100));
    assert.equal(pipeline.events(0), 2400);
  });

  it('reports a loss before it decodes what it has read, up to now', () => {
    let counts = [0, 0];
    const { pipeline, seen } = pipelineOf({
      reads: [wakeup(1, 1), '', wakeup(2, 2), '', wakeup(3, 3)],
      lost: () => counts,
      nowMs: 77,
    });
    pipeline.tick(1e12, 100);
    counts = [0, 5];
    pipeline.tick(1e12, 100);
    pipeline.tick(1e12, 100);
    assert.deepEqual(
      seen.filter((what) => what !== 'read' && what !== 'dry'),
      ['1', 'loss of CPU 1 until 77', '2', '3'],
    );
  });

  it('does not ask for losses when it has read nothing', () => {
    let questions = 0;
    const { pipeline } = pipelineOf({
      reads: [],
      lost: () => {
        questions++;
        return [];
      },
    });
    pipeline.tick(1e12, 100);
    assert.equal(questions, 0);
  });

  it('counts losses that the text reports as well as those that the kernel counts', () => {
    const { pipeline, seen } = pipelineOf({
      reads: [`${wakeup(1, 1)}CPU:1 [LOST 9 EVENTS]\n${wakeup(2, 2, 1)}`],
      lost: none,
    });
    pipeline.flush();
    assert.deepEqual(seen.slice(-3), ['1', 'loss of CPU 1 until 2', '2']);
    assert.equal(pipeline.flaggedLost(1), 9);
  });

  it('joins lines of a file that are cut anywhere', () => {
    const text = Array.from({ length: 2000 }, (_, i) => wakeup(i, i)).join('');
    for (const size of [1000, 4097, 30_000]) {
      const reads = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
        text.slice(i * size, (i + 1) * size),
      );
      const { pipeline, seen } = pipelineOf({ reads, roundBytes: 1 << 16 });
      pipeline.flush();
      assert.equal(pipeline.events(0), 2000);
      assert.ok(!seen.some((what) => what.includes('text_line')));
    }
  });

  it('counts no event, no byte and no late event for a line that is cut off at the end', () => {
    const cut = wakeup(2, 1, 1).slice(0, -20);
    const { pipeline, seen } = pipelineOf({ reads: [wakeup(1, 2) + cut], endsOpen: true });
    pipeline.flush();
    assert.ok(pipeline.endsCut());
    assert.deepEqual([pipeline.events(1), pipeline.bytesRead(1), pipeline.lateEvents()], [0, 0, 0]);
    assert.deepEqual(seen.slice(-1), ['1']);
  });

  it('continues after lines that make no sense, and discards on every CPU what was open then', () => {
    const { pipeline, seen } = pipelineOf({
      reads: [`${wakeup(1, 1)}nonsense\n${wakeup(2, 2)}`],
      lost: none,
    });
    pipeline.flush();
    const voided = [0, 1, 2, 3].map((cpu) => `loss of CPU ${cpu} until 1.0000005`);
    assert.deepEqual(seen.slice(2), ['1', 'text_line on CPU -1', ...voided, '2']);
  });

  it('counts the event of an unreadable line, unless the line lacks its CPU', () => {
    const reads = [wakeup(1, 1, 1).replace('prio=', 'priority='), '', 'nonsense\n', ''];
    const { pipeline } = pipelineOf({ reads, lost: none });
    pipeline.tick(1e12, 100);
    assert.deepEqual([pipeline.events(1), pipeline.givenUp(0), pipeline.givenUp(1)], [1, 0, 0]);
    pipeline.tick(1e12, 100);
    assert.deepEqual([pipeline.events(1), pipeline.givenUp(0), pipeline.givenUp(1)], [1, 1, 1]);
    assert.equal(pipeline.broken().count, 2);
  });

  it('refuses loose lines, which replay reads from files, because a task could forge them', () => {
    const line = wakeup(7, 2);
    const loose: Record<string, string> = {
      'trimmed on the left': line.trimStart(),
      'indented with spaces': `    ${line}`,
      'indented with a tab': `\t${line}`,
      'with a return before the newline': line.replace('\n', '\r\n'),
      'after a byte order mark': `\ufeff${line}`,
      'with a long task name': line.replace(/^ *\S+?-/, 'com.example.a longer-name:a-'),
      'of latency-format':
        '       a-7         0d..2.    2us : sched_wakeup: comm=a pid=7 prio=1 target_cpu=001\n',
      'of trace-cmd report':
        '               a-7     [000] d..2.     0.002000: sched_wakeup:         a:7 [1] success=1 CPU:001\n',
      'of an old kernel':
        '               a-7     [000] d..2     0.002000: sched_wakeup: comm=a pid=7 prio=1 success=1 target_cpu=001\n',
    };
    for (const [how, text] of Object.entries(loose)) {
      const { pipeline, seen } = pipelineOf({ reads: [wakeup(1, 1) + text + wakeup(2, 3)], lost: none });
      pipeline.flush();
      const refused = seen.filter((what) => what.startsWith('text_line on CPU'));
      assert.deepEqual([seen.includes('7'), refused.length], [false, 1], how);
      assert.deepEqual([seen.includes('1'), seen.includes('2')], [true, true], how);
    }
  });

  it('counts events that come after younger ones', () => {
    const { pipeline } = pipelineOf({ reads: [wakeup(1, 5) + wakeup(2, 4, 1)], lost: none });
    pipeline.flush();
    assert.equal(pipeline.lateEvents(), 1);
  });
});

/** Simulates a kernel: buffers of two CPUs that drop their oldest events, and the merged text of both. */
function makeKernel(capacity: number) {
  const queues: { line: string; ns: number }[][] = [[], []];
  const overrun = [0, 0];
  const unread = [0, 0];
  let micros = 1000;
  return {
    overrun,
    nowNs: () => micros * 1000,
    record(cpu: number, name: string, pid: number) {
      micros++;
      const stamp = (micros / 1e6).toFixed(6).padStart(12);
      const line = lineOf(`${name}: comm=a pid=${pid} prio=1 target_cpu=001`, { cpu, stamp });
      if (queues[cpu].push({ line, ns: micros * 1000 }) <= capacity) return;
      queues[cpu].shift();
      overrun[cpu]++;
      unread[cpu]++;
    },
    /** Returns and removes the oldest events, at most this many. */
    read(most: number): string {
      let text = '';
      for (let i = 0; i < most; i++) {
        const [a, b] = queues.map((queue) => queue[0]?.ns ?? Number.POSITIVE_INFINITY);
        const cpu = a <= b ? 0 : 1;
        const next = queues[cpu].shift();
        if (next === undefined) break;
        if (unread[cpu] > 0) text += `CPU:${cpu} [LOST ${unread[cpu]} EVENTS]\n`;
        unread[cpu] = 0;
        text += next.line;
      }
      return text;
    },
  };
}

describe('losses in text that the kernel has merged', () => {
  const START = typeOf('formats-6.18', 'sched:sched_wakeup', ['pid']);
  const END = typeOf('formats-6.18', 'sched:sched_wakeup_new', ['pid']);
  const callOf = intReader(END.format, 'pid');

  it('never let the start of one call pair with the end of another, on any CPU', () => {
    let [pairs, losses] = [0, 0];
    const step = fc.record({
      /** CPUs on which the call begins and ends. They differ if its task has moved. */
      from: fc.nat(1),
      to: fc.nat(1),
      /** Number of other events on each CPU before the call ends. */
      noise: fc.tuple(fc.nat(12), fc.nat(3)),
      reads: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 120 }),
        fc.integer({ min: 1, max: 9 }),
        (steps, most) => {
          const kernel = makeKernel(12);
          let call = 0;
          const todo = [...steps];
          /** Makes one call and other events. Also runs while the text is read. */
          const work = () => {
            const next = todo.shift();
            if (next === undefined) return;
            call++;
            kernel.record(next.from, 'sched_wakeup', call);
            next.noise.forEach((count, cpu) => {
              for (let i = 0; i < count; i++) kernel.record(cpu, 'noise', 1);
            });
            kernel.record(next.to, 'sched_wakeup_new', call);
          };
          let open: { call: number; since: number } | undefined;
          let lostUntil = 0;
          const failures: string[] = [];
          const pipeline = makeTextPipeline({
            longestTickMs: Number.POSITIVE_INFINITY,
            source: {
              readText: (into) => {
                const length = Buffer.from(kernel.read(most)).copy(into);
                if (todo[0]?.reads) work();
                return length;
              },
            },
            plan: {
              types: [START, END],
              dispatcher: makeDispatcher([
                {
                  id: START.format.id,
                  minLength: 8,
                  handler: (record) => {
                    open = { call: callOf(record), since: record.timestampNs };
                  },
                },
                {
                  id: END.format.id,
                  minLength: 8,
                  handler: (record) => {
                    if (open !== undefined && open.since >= lostUntil) {
                      pairs++;
                      if (open.call !== callOf(record)) failures.push(`${open.call} and ${callOf(record)}`);
                    }
                    open = undefined;
                  },
                },
              ]),
              onLoss: (_cpu, untilNs) => {
                losses++;
                lostUntil = Math.max(lostUntil, untilNs);
              },
            },
            functions: makeFunctionInterner(),
            cpuCount: 2,
            isGraph: false,
            losses: (visit) => {
              for (const [cpu, count] of kernel.overrun.entries()) visit(cpu, count);
            },
            now: kernel.nowNs,
            onError: (...error) => failures.push(error.join()),
          });
          while (todo.length > 0) {
            work();
            if (todo.length % 3 === 0) pipeline.tick(kernel.nowNs(), 4);
          }
          pipeline.flush();
          assert.deepEqual(failures, []);
        },
      ),
      { numRuns: 1000 },
    );
    assert.ok(pairs > 1000 && losses > 1000, `${pairs} pairs, ${losses} losses`);
  });
});

describe('an interruption of the recording, in text', () => {
  it('is announced on all CPUs at once, and again after what was recorded before its end', () => {
    const { pipeline, seen } = pipelineOf({ reads: [`${wakeup(1, 10)}\n`, ''], cpuCount: 2 });
    pipeline.voidUntil(20e6);
    const announced = ['loss of CPU 0 until 20', 'loss of CPU 1 until 20'];
    assert.deepEqual(seen.splice(0), announced);
    pipeline.tick(15e6, 4);
    assert.deepEqual(
      seen.splice(0).filter((what) => what.startsWith('loss')),
      [],
    );
    pipeline.tick(25e6, 4);
    assert.deepEqual(
      seen.splice(0).filter((what) => what.startsWith('loss')),
      announced,
    );
    pipeline.tick(35e6, 4);
    assert.deepEqual(
      seen.filter((what) => what.startsWith('loss')),
      [],
    );
  });

  it('is announced again when the rest is read', () => {
    const reads = [wakeup(1, 10), wakeup(2, 20), wakeup(3, 30)];
    const { pipeline, seen } = pipelineOf({ reads, cpuCount: 1, lost: none });
    pipeline.voidUntil(20e6);
    pipeline.flush();
    const announced = 'loss of CPU 0 until 20';
    const steps = seen.filter((what) => what !== 'read' && what !== 'dry');
    assert.deepEqual(steps, [announced, '1', '2', announced, '3']);
  });

  it('of function_graph, lines are not compared with the kernel’s count of events', () => {
    assert.equal(pipelineOf({ reads: [] }).pipeline.pendingEvents(0), 0);
    assert.equal(pipelineOf({ reads: [], isGraph: true }).pipeline.pendingEvents(0), undefined);
  });
});
