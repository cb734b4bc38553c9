import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeTextPipeline, type TextPipelineOptions } from '../../../src/agent/text-pipeline.ts';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { intReader } from '../../../src/decode/fields.ts';
import { makeFunctionInterner } from '../../../src/decode/text/function-interner.ts';
import { lineOf, typeOf } from '../decode/text/support.ts';

const WAKEUP = typeOf('formats-6.18', 'sched:sched_wakeup', ['pid']);
const pidOf = intReader(WAKEUP.format, 'pid');

/** A line of the event, stamped in milliseconds. */
function wakeup(pid: number, ms: number, cpu = 0): string {
  const stamp = (ms / 1000).toFixed(6).padStart(12);
  return lineOf(`sched_wakeup: comm=a pid=${pid} prio=1 target_cpu=001`, { cpu, stamp });
}

interface Given extends Partial<TextPipelineOptions> {
  /** What each read gives; an empty text is nothing at the moment. */
  reads: string[];
  lost?: () => number[];
  nowMs?: number;
}

function pipelineOf({ reads, lost, nowMs = 1e6, ...more }: Given) {
  const seen: string[] = [];
  let left = Buffer.alloc(0);
  const pipeline = makeTextPipeline({
    source: {
      readText: (into) => {
        if (left.length === 0) left = Buffer.from(reads.shift() ?? '');
        const length = left.copy(into);
        left = left.subarray(length);
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

  it('stops at a line from after the start of the tick, for its own reads are traced too', () => {
    const endless = Array.from({ length: 50 }, (_, i) => wakeup(i, i));
    const { pipeline, seen } = pipelineOf({ reads: endless, lost: none });
    pipeline.tick(3e6, 100);
    assert.deepEqual(seen.filter((what) => what === 'read').length, 4);
    assert.deepEqual(seen.slice(-4), ['0', '1', '2', '3']);
    pipeline.tick(5e6, 100);
    assert.deepEqual(seen.slice(-2), ['4', '5']);
  });

  it('reads no more in a round than it may, and no more rounds', () => {
    const many = wakeup(7, 1).repeat(800);
    const { pipeline, seen } = pipelineOf({ reads: Array(20).fill(many), lost: none, roundBytes: 1 << 16 });
    pipeline.tick(1e12, 2);
    assert.equal(seen.filter((what) => what === 'read').length, 2);
    assert.equal(pipeline.events(0), 1600);
    pipeline.flush();
    assert.equal(pipeline.events(0), 16_000);
  });

  it('tells a loss before what it has read is decoded, as far as now', () => {
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
    let asked = 0;
    const { pipeline } = pipelineOf({
      reads: [],
      lost: () => {
        asked++;
        return [];
      },
    });
    pipeline.tick(1e12, 100);
    assert.equal(asked, 0);
  });

  it('takes what the text tells of losses beside what the kernel counts', () => {
    const { pipeline, seen } = pipelineOf({
      reads: [`${wakeup(1, 1)}CPU:1 [LOST 9 EVENTS]\n${wakeup(2, 2, 1)}`],
      lost: none,
    });
    pipeline.flush();
    assert.deepEqual(seen.slice(-3), ['1', 'loss of CPU 1 until 2', '2']);
    assert.equal(pipeline.flaggedLost(1), 9);
  });

  it('puts together lines of a file that are cut anywhere', () => {
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

  it('goes on behind lines that make no sense', () => {
    const { pipeline, seen } = pipelineOf({
      reads: [`${wakeup(1, 1)}nonsense\n${wakeup(2, 2)}`],
      lost: none,
    });
    pipeline.flush();
    assert.deepEqual(seen.slice(2), ['1', 'text_line on CPU -1', '2']);
  });

  it('counts events that come after younger ones', () => {
    const { pipeline } = pipelineOf({ reads: [wakeup(1, 5) + wakeup(2, 4, 1)], lost: none });
    pipeline.flush();
    assert.equal(pipeline.lateEvents(), 1);
    assert.equal(pipeline.hasPlainStamps(), false);
  });
});
