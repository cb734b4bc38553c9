import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { Merger } from '../../../src/decode/merge.ts';
import type { EventHandler, PairForm } from '../../../src/model/record.ts';
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

/** A merger for starts (type 1) and ends (type 2). Its fast paths take the events for which `takes` is true. */
function withPairs(takes: (ts: number) => boolean) {
  const seen: { cpu: number; ts: number; type: number }[] = [];
  const errors: string[] = [];
  let pairs = 0;
  const see = (cpu: number, ts: number, word: number) => seen.push({ cpu, ts, type: word & 0xffff });
  const makeHandler = (): EventHandler => {
    const handler: EventHandler = ({ words, offset, cpu, timestampNs }) =>
      see(cpu, timestampNs, words[offset >> 2]);
    handler.usual = (words, at, timestampNs, cpu) => {
      if (takes(timestampNs)) see(cpu, timestampNs, words[at]);
      return takes(timestampNs);
    };
    return handler;
  };
  const [start, end] = [makeHandler(), makeHandler()];
  const form: PairForm = (words, at, endAt, timestampNs, ns, cpu) => {
    if (!takes(timestampNs + ns)) return false;
    see(cpu, timestampNs, words[at]);
    see(cpu, timestampNs + ns, words[endAt]);
    pairs++;
    return true;
  };
  start.pair = { end, form };
  const dispatcher = makeDispatcher([
    { id: 1, handler: start, minLength: 8 },
    { id: 2, handler: end, minLength: 12 },
  ]);
  const onError = (_cpu: number, error: string) => errors.push(error);
  const merger = new Merger(LAYOUT_4K, { dispatcher, onLoss: () => {}, onError });
  return { merger, dispatcher, seen, errors, pairs: () => pairs };
}

describe('pairs', () => {
  const eventArb = fc.record({
    gap: fc.oneof(fc.nat(50), fc.nat(50), fc.integer({ min: 0, max: 2 ** 28 })),
    type: fc.constantFrom(1, 1, 2, 2, 3),
    body: fc.constantFrom(4, 8, 8, 40, 120),
    cpu: fc.constantFrom(0, 0, 0, 1),
  });

  test('a start and the end after it are handled once and in order, whatever the pages and the watermarks', () => {
    let pairs = 0;
    const eventsArb = fc.array(eventArb, { minLength: 100, maxLength: 300 });
    fc.assert(
      fc.property(eventsArb, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (events, cuts) => {
        const { merger, dispatcher, seen, errors, pairs: seenPairs } = withPairs((ts) => ts % 3 !== 0);
        const writers = [pageWriter({ pageTs: 1000 }), pageWriter({ pageTs: 1000 })];
        const add = (cpu: number) => {
          const page = merger.takePage();
          page.bytes.set(writers[cpu].finish());
          merger.add(cpu, page, 4096);
          writers[cpu] = pageWriter();
        };
        let ts = 1000;
        const wanted: typeof seen = [];
        let short = 0;
        for (const { gap, type, body, cpu } of events) {
          ts += gap + 1;
          const event: WrittenEvent = { ts, type, body: new Uint8Array(body) };
          if (!writers[cpu].add(event)) {
            add(cpu);
            writers[cpu].add(event);
          }
          if (type === 2 && body < 8) short++;
          else if (type !== 3) wanted.push({ cpu, ts, type });
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
        pairs += seenPairs();
      }),
    );
    assert.ok(pairs > 100, `${pairs} pairs`);
  });

  test('a later watermark than the end is needed', () => {
    const { merger, seen, pairs } = withPairs(() => true);
    const page = merger.takePage();
    page.bytes.set(pageOf([at(5), { ts: 9, type: 2, body: new Uint8Array(8) }]));
    merger.add(0, page, 4096);
    merger.run(8);
    assert.deepEqual([stampsOf(seen), pairs()], [[5], 0]);
    merger.run(9);
    assert.deepEqual([stampsOf(seen), pairs()], [[5, 9], 0]);
  });
});
