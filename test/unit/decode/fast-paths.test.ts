import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { Merger } from '../../../src/decode/merge.ts';
import type { EventHandler } from '../../../src/model/record.ts';
import { LAYOUT_4K, pageOf, pageWriter, type WrittenEvent } from '../../support/pages.ts';

const at = (ts: number, type = 1): WrittenEvent => ({ ts, type });
const stampsOf = (seen: { ts: number }[]) => seen.map(({ ts }) => ts);

/** A merger for event type 1. The usual form of its handler takes the events for which `isUsual` returns true. */
function withUsualForm(isUsual: (ts: number) => boolean) {
  const seen: { by: 'usual' | 'handler'; cpu: number; ts: number; type: number }[] = [];
  const errors: string[] = [];
  const handler: EventHandler = ({ words, offset, cpu, timestampNs }) =>
    seen.push({ by: 'handler', cpu, ts: timestampNs, type: words[offset >> 2] });
  handler.usual = (words, at, timestampNs, cpu) => {
    if (isUsual(timestampNs)) seen.push({ by: 'usual', cpu, ts: timestampNs, type: words[at] });
    return isUsual(timestampNs);
  };
  const dispatcher = makeDispatcher([{ id: 1, handler, minLength: 12 }]);
  const onError = (_cpu: number, error: string) => errors.push(error);
  const merger = new Merger(LAYOUT_4K, { dispatcher, onLoss: () => {}, onError });
  return { merger, dispatcher, seen, errors };
}

describe('usual forms', () => {
  test('each event goes to the usual form or to the handler, and only if it is long enough', () => {
    const { merger, dispatcher, seen, errors } = withUsualForm((ts) => ts % 2 === 0);
    const page = merger.takePage();
    const long = { type: 1, body: new Uint8Array(8) };
    page.bytes.set(pageOf([{ ts: 2, ...long }, { ts: 3, ...long }, at(4), at(5), { ts: 6, ...long }]));
    merger.add(3, page, 4096);
    merger.run(10);
    assert.deepEqual(seen, [
      { by: 'usual', cpu: 3, ts: 2, type: 1 },
      { by: 'handler', cpu: 3, ts: 3, type: 1 },
      { by: 'usual', cpu: 3, ts: 6, type: 1 },
    ]);
    assert.deepEqual(errors, ['short_event', 'short_event']);
    assert.equal(dispatcher.calls[1], 3);
    assert.equal(merger.events(3), 5);
  });
});

/** Bytes after the event's `common_type`. The first word is the event's number. */
const bodyOf = (n: number, length = 8) =>
  new Uint8Array(new Int32Array([n, ...Array(30).fill(0)]).buffer, 0, length);

/**
 * A merger for starts (type 1) and ends (type 2) with bodies of `bodyOf`. `stamps`: timestamp of each event. The fast
 * paths refuse some events, and begin a new slot at each start whose number is a multiple of 4.
 */
function withPairs(stamps: readonly number[]) {
  const seen: { cpu: number; ts: number; type: number }[] = [];
  const errors: string[] = [];
  const counts = { pairs: 0, inSlotBefore: 0 };
  const see = (cpu: number, ts: number, word: number) => seen.push({ cpu, ts, type: word & 0xffff });
  const makeHandler = (): EventHandler => {
    const handler: EventHandler = ({ words, offset, cpu, timestampNs }) =>
      see(cpu, timestampNs, words[offset >> 2]);
    handler.usual = (words, at, timestampNs, cpu) => {
      const isUsual = timestampNs % 3 !== 0;
      if (isUsual) see(cpu, timestampNs, words[at]);
      return isUsual;
    };
    return handler;
  };
  const [start, end] = [makeHandler(), makeHandler()];
  let [onCpu, from, to] = [0, 0, 0];
  start.pair = {
    end,
    begin: (words, at, timestampNs, cpu) => {
      onCpu = cpu;
      assert.equal(timestampNs, stamps[words[at + 1]]);
      return timestampNs % 5 === 0 ? -1 : timestampNs;
    },
    matches: (words, at, endAt, model) => {
      [from, to] = [stamps[words[at + 1]], stamps[words[endAt + 1]]];
      return to % 7 !== 0 && (at === model || words[at + 1] % 4 !== 0);
    },
    count: (slot, ns) => {
      assert.ok(slot <= from);
      assert.equal(ns, to - from);
      if (ns % 9 === 0) return false;
      see(onCpu, from, 1);
      see(onCpu, to, 2);
      counts.pairs++;
      if (slot < from) counts.inSlotBefore++;
      return true;
    },
  };
  const dispatcher = makeDispatcher([
    { id: 1, handler: start, minLength: 12 },
    { id: 2, handler: end, minLength: 12 },
  ]);
  const onError = (_cpu: number, error: string) => errors.push(error);
  const merger = new Merger(LAYOUT_4K, { dispatcher, onLoss: () => {}, onError });
  return { merger, dispatcher, seen, errors, counts };
}

/** Fills the unused end of a page with records of ends and starts. */
function withStaleTail(page: Uint8Array): Uint8Array {
  const words = new Int32Array(page.buffer);
  const { dataOffset, commitOffset } = LAYOUT_4K;
  const first = (dataOffset + words[commitOffset >> 2]) >> 2;
  for (let at = first; at + 8 <= words.length; at += 8) words.set([35, 2, 0, 0, 35, 1, 0, 0], at);
  return page;
}

describe('pairs', () => {
  const eventArb = fc.record({
    gap: fc.oneof(fc.nat(50), fc.nat(50), fc.integer({ min: 0, max: 2 ** 28 })),
    type: fc.constantFrom(1, 1, 2, 2, 3),
    body: fc.constantFrom(4, 8, 8, 40, 120),
    cpu: fc.constantFrom(0, 0, 0, 1),
  });

  /** Starts and ends in turn, on one CPU. */
  const chainArb = fc
    .tuple(fc.constantFrom(0, 0, 1), fc.array(fc.nat(30), { minLength: 4, maxLength: 20 }))
    .map(([cpu, gaps]) => gaps.map((gap, i) => ({ gap, type: 1 + (i % 2), body: 8, cpu })));

  test('a start and the end after it are handled once and in order, whatever the pages and the watermarks', () => {
    let [pairs, inSlotBefore] = [0, 0];
    const eventsArb = fc
      .array(
        fc.oneof(
          eventArb.map((one) => [one]),
          chainArb,
        ),
        { minLength: 40, maxLength: 100 },
      )
      .map((parts) => parts.flat());
    fc.assert(
      fc.property(eventsArb, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (events, cuts) => {
        const stamps: number[] = [];
        const { merger, dispatcher, seen, errors, counts } = withPairs(stamps);
        const writers = [pageWriter({ pageTs: 1000 }), pageWriter({ pageTs: 1000 })];
        const add = (cpu: number) => {
          const page = merger.takePage();
          page.bytes.set(withStaleTail(writers[cpu].finish()));
          merger.add(cpu, page, 4096);
          writers[cpu] = pageWriter();
        };
        let ts = 1000;
        const wanted: typeof seen = [];
        let short = 0;
        for (const { gap, type, body, cpu } of events) {
          ts += gap + 1;
          const event: WrittenEvent = { ts, type, body: bodyOf(stamps.push(ts) - 1, body) };
          if (!writers[cpu].add(event)) {
            add(cpu);
            writers[cpu].add(event);
          }
          if (type === 3) continue;
          if (body < 8) short++;
          else wanted.push({ cpu, ts, type });
        }
        for (const cpu of [0, 1]) add(cpu);
        for (const cut of cuts.sort((a, b) => a - b)) merger.run(1000 + Math.round(cut * (ts - 1000)));
        merger.run(Number.POSITIVE_INFINITY);
        assert.deepEqual(seen, wanted);
        assert.deepEqual(
          errors,
          Array.from({ length: short }, () => 'short_event'),
        );
        assert.equal(merger.events(0) + merger.events(1), events.length);
        assert.equal(dispatcher.calls[1] + dispatcher.calls[2], wanted.length);
        pairs += counts.pairs;
        inSlotBefore += counts.inSlotBefore;
      }),
    );
    assert.ok(pairs > 100 && inSlotBefore > 10, `${pairs} pairs, ${inSlotBefore} in the slot before`);
  });

  test('a later watermark than the end is needed', () => {
    const { merger, seen, counts } = withPairs([11, 13, 16, 17]);
    const page = merger.takePage();
    page.bytes.set(pageOf([11, 13, 16, 17].map((ts, n) => ({ ts, type: 1 + (n % 2), body: bodyOf(n) }))));
    merger.add(0, page, 4096);
    merger.run(16);
    assert.deepEqual([stampsOf(seen), counts.pairs], [[11, 13, 16], 1]);
    merger.run(17);
    assert.deepEqual([stampsOf(seen), counts.pairs], [[11, 13, 16, 17], 1]);
  });

  test('an end that is only partly inside the page does not count', () => {
    const { merger, seen, errors, counts } = withPairs([11, 13]);
    const page = merger.takePage();
    page.bytes.set(pageOf([11, 13].map((ts, n) => ({ ts, type: 1 + n, body: bodyOf(n) }))));
    page.words[LAYOUT_4K.commitOffset >> 2] -= 4;
    merger.add(0, page, 4096);
    merger.run(20);
    assert.deepEqual([stampsOf(seen), counts.pairs, errors], [[11], 0, ['event_past_end']]);
  });
});
