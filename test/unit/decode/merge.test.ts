import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { Merger } from '../../../src/decode/merge.ts';
import { lastStamp, loadPage, makePage } from '../../../src/decode/page.ts';
import type { PageLayout } from '../../../src/model/format.ts';
import type { EventHandler, PairForm } from '../../../src/model/record.ts';
import { LAYOUT_4K, pageOf, pageWriter, type WrittenEvent } from '../../support/pages.ts';

interface Seen {
  cpu: number;
  ts: number;
  type: number;
  length: number;
}

const TYPES = 16;

/** A merger that records everything it passes on, for event types 0…15. */
function collector(layout: PageLayout = LAYOUT_4K, fail?: EventHandler) {
  const seen: Seen[] = [];
  const losses: [number, number][] = [];
  const errors: string[] = [];
  const types = Array.from({ length: TYPES }, (_, id) => {
    const handler: EventHandler = (record) => {
      assert.equal(record.words[record.offset >> 2] & 0xffff, id);
      seen.push({ cpu: record.cpu, ts: record.timestampNs, type: id, length: record.length });
      fail?.(record);
    };
    return { id, handler, minLength: 8 };
  });
  const merger = new Merger(layout, {
    dispatcher: makeDispatcher(types),
    onLoss: (cpu, untilNs) => {
      losses.push([cpu, untilNs]);
      seen.push({ cpu, ts: untilNs, type: -1, length: 0 });
    },
    onError: (_cpu, error) => errors.push(error),
  });
  const add = (cpu: number, bytes: Uint8Array) => {
    const page = merger.takePage();
    page.bytes.fill(0xee);
    page.bytes.set(bytes);
    return merger.add(cpu, page, bytes.length);
  };
  return { merger, seen, losses, errors, add };
}

const at = (ts: number, type = 1): WrittenEvent => ({ ts, type });
const stamps = (seen: Seen[]) => seen.filter((s) => s.type >= 0).map((s) => s.ts);
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

describe('page walk', () => {
  test('time extends, absolute stamps, padding and discarded events keep the time', () => {
    const { merger, seen, add } = collector();
    const writer = pageWriter({ pageTs: 1000 });
    writer.add(at(1005));
    writer.add(at(1005 + 2 ** 27));
    writer.discard(7, 12);
    writer.add(at(1005 + 2 ** 27 + 10, 2));
    writer.add({ ts: 5e9, type: 3, body: new Uint8Array(200), as: 'type0' });
    writer.add({ ts: 5e9 + 1, type: 4, body: new Uint8Array(9) });
    writer.endPadding();
    add(0, writer.finish());
    merger.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(stamps(seen), [1005, 1005 + 2 ** 27, 1005 + 2 ** 27 + 10, 5e9, 5e9 + 1]);
    assert.deepEqual(
      seen.map((s) => s.length),
      [8, 8, 8, 204, 13],
    );
    assert.equal(merger.events(0), 5);
  });

  test('the top five bits of an absolute stamp come from the stamp before', () => {
    const base = 3 * 2 ** 59;
    const { merger, seen, add } = collector();
    add(0, pageOf([at(base + 4096)], { pageTs: base, absolute: true }));
    merger.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(stamps(seen), [base + 4096]);
  });

  test('lastStamp agrees with the walk, and stops at invalid data', () => {
    const page = makePage(LAYOUT_4K);
    page.bytes.set(pageOf([at(10), at(2 ** 28), { ts: 2 ** 28 + 3, type: 1, as: 'type0' }]));
    assert.equal(loadPage(page, LAYOUT_4K, 4096), undefined);
    assert.equal(lastStamp(page, LAYOUT_4K), 2 ** 28 + 3);
    page.words.fill(0, 4);
    assert.equal(lastStamp(page, LAYOUT_4K), page.timestampNs);
  });

  test('bytes after the commit mean nothing', () => {
    const { merger, seen, errors, add } = collector();
    const bytes = pageOf([at(10)]);
    bytes.fill(0xff, 64);
    add(0, bytes);
    merger.run(Number.POSITIVE_INFINITY);
    assert.deepEqual([stamps(seen), errors], [[10], []]);
  });

  test('a 32-bit kernel has a commit of four bytes', () => {
    const layout: PageLayout = { ...LAYOUT_4K, commitSize: 4, dataOffset: 12 };
    const { merger, seen, add } = collector(layout);
    add(0, pageOf([at(10), at(2 ** 33)], { layout, lostCount: 3 }));
    merger.run(Number.POSITIVE_INFINITY);
    assert.deepEqual(stamps(seen), [10, 2 ** 33]);
    assert.equal(merger.flaggedLost(0), 3);
  });
});

describe('merge', () => {
  test('passes on events of several CPUs in the order of time, up to the watermark', () => {
    const { merger, seen, add } = collector();
    add(0, pageOf([at(10), at(40), at(50)]));
    add(1, pageOf([at(20), at(30), at(60)]));
    add(2, pageOf([at(5), at(45)]));
    merger.run(45);
    assert.deepEqual(stamps(seen), [5, 10, 20, 30, 40, 45]);
    assert.deepEqual(
      seen.map((s) => s.cpu),
      [2, 0, 1, 1, 0, 2],
    );
    merger.run(1000);
    assert.deepEqual(stamps(seen).slice(6), [50, 60]);
    assert.equal(merger.lateEvents(), 0);
  });

  test('a page older than the one before it is late, and other CPUs come before its younger events', () => {
    const { merger, seen, add } = collector();
    merger.run(1000);
    add(0, pageOf([at(1500)]));
    add(0, pageOf([at(900), at(1600)]));
    add(1, pageOf([at(1550)]));
    merger.run(2000);
    assert.deepEqual(stamps(seen), [1500, 900, 1550, 1600]);
    assert.equal(merger.lateEvents(), 1);
  });

  test('an event older than the watermark is passed on and counted as late', () => {
    const { merger, seen, add } = collector();
    add(0, pageOf([at(100)]));
    merger.run(100);
    add(1, pageOf([at(90), at(110)]));
    merger.run(200);
    assert.deepEqual(stamps(seen), [100, 90, 110]);
    assert.equal(merger.lateEvents(), 1);
  });

  test('a loss is reported before any event that lies within it, on any CPU', () => {
    const { merger, seen, losses, add } = collector();
    add(0, pageOf([at(10), at(20)]));
    add(0, pageOf([at(100), at(110)], { lostCount: 7 }));
    add(1, pageOf([at(50), at(105)]));
    merger.run(1000);
    assert.deepEqual(losses, [[0, 100]]);
    assert.deepEqual(
      seen.map((s) => (s.type < 0 ? 'loss' : s.ts)),
      [10, 20, 'loss', 50, 100, 105, 110],
    );
    assert.equal(merger.flaggedLost(0), 7);
  });

  test('a loss flag on an empty page counts for the page after it', () => {
    const { merger, losses, add } = collector();
    add(0, pageOf([], { pageTs: 50, lost: true }));
    add(0, pageOf([at(100)]));
    merger.run(1000);
    assert.deepEqual(losses.at(-1), [0, 100]);
  });

  test('a broken page is counted, and operations open around it are discarded', () => {
    const { merger, seen, losses, errors, add } = collector();
    const bad = pageOf([at(30), at(40)]);
    new DataView(bad.buffer).setUint32(LAYOUT_4K.commitOffset, 5000, true);
    add(0, pageOf([at(10)]));
    assert.equal(add(0, bad), false);
    add(0, pageOf([at(50)]));
    merger.run(1000);
    assert.deepEqual(stamps(seen), [10, 50]);
    assert.deepEqual(errors, ['bad_commit']);
    assert.deepEqual(losses, [[0, 50]]);
  });

  test('a page of zeros is not an empty page, because the kernel stamps those', () => {
    const { merger, seen, losses, errors, add } = collector();
    add(0, pageOf([at(10)]));
    assert.equal(add(0, new Uint8Array(4096)), false);
    add(0, pageOf([at(50)]));
    assert.equal(add(0, pageOf([], { pageTs: 60 })), true);
    merger.run(1000);
    assert.deepEqual(stamps(seen), [10, 50]);
    assert.deepEqual([errors, losses], [['bad_commit'], [[0, 50]]]);
  });

  test('a commit that covers zeroes ends its page and is counted', () => {
    const { merger, seen, errors, add } = collector();
    const bytes = pageOf([at(10)]);
    new DataView(bytes.buffer).setUint32(LAYOUT_4K.commitOffset, 64, true);
    add(0, bytes);
    add(0, pageOf([at(20)]));
    merger.run(1000);
    assert.deepEqual(stamps(seen), [10, 20]);
    assert.deepEqual(errors, ['zero_length_event']);
  });

  test('an impossible stamp does not stop the stream', () => {
    const { merger, seen, errors, add } = collector();
    merger.latest = 1e6;
    add(0, pageOf([at(10), at(5e9)]));
    add(0, pageOf([at(30)]));
    add(1, pageOf([at(20)]));
    merger.run(100);
    assert.deepEqual(stamps(seen), [10, 20, 30]);
    assert.deepEqual(errors, ['implausible_time']);
  });

  test('a handler that throws loses its page, not the stream', () => {
    const { merger, seen, errors, add } = collector(LAYOUT_4K, (record) => {
      if (record.timestampNs === 20) throw new Error('defect');
    });
    add(0, pageOf([at(10), at(20), at(30)]));
    add(0, pageOf([at(40)]));
    merger.run(1000);
    assert.deepEqual(stamps(seen), [10, 20, 40]);
    assert.deepEqual(errors, ['handler_failed']);
  });

  test('a record that is too short for its handler is skipped', () => {
    const { merger, seen, errors, add } = collector();
    add(0, pageOf([{ ts: 5, type: 1, body: new Uint8Array(0) }, at(6)]));
    merger.run(1000);
    assert.deepEqual([stamps(seen), errors], [[6], ['short_event']]);
  });
});

describe('properties', () => {
  const eventArb = fc.record({
    gap: fc.oneof(fc.nat(5000), fc.integer({ min: 0, max: 2 ** 31 })),
    type: fc.nat(TYPES - 1),
    size: fc.integer({ min: 4, max: 300 }),
    cpu: fc.nat(3),
  });

  test('what is written is read back, in order, whatever the pages', () => {
    fc.assert(
      fc.property(fc.array(eventArb, { maxLength: 400 }), (events) => {
        const { merger, seen, errors, add } = collector();
        const writers = new Map<number, ReturnType<typeof pageWriter>>();
        let ts = 1000;
        const wanted: Seen[] = [];
        for (const { gap, type, size, cpu } of events) {
          ts += gap + 1;
          const event: WrittenEvent = { ts, type, body: new Uint8Array(size) };
          let writer = writers.get(cpu) ?? pageWriter();
          if (!writer.add(event)) {
            add(cpu, writer.finish());
            writer = pageWriter();
            writer.add(event);
          }
          writers.set(cpu, writer);
          wanted.push({ cpu, ts, type, length: size + 4 <= 112 ? (size + 7) & ~3 : size + 4 });
        }
        for (const [cpu, writer] of writers) add(cpu, writer.finish());
        merger.run(Number.POSITIVE_INFINITY);
        assert.deepEqual(errors, []);
        assert.deepEqual(
          seen.map(({ cpu, ts, type }) => ({ cpu, ts, type })),
          wanted.map(({ cpu, ts, type }) => ({ cpu, ts, type })),
        );
      }),
    );
  });

  test('any bytes give a status: nothing throws, nothing loops', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            bytes: fc.uint8Array({ maxLength: 256 }),
            at: fc.nat(4000),
            cpu: fc.nat(2),
            whole: fc.boolean(),
          }),
          {
            maxLength: 12,
          },
        ),
        (damages) => {
          const { merger, add } = collector();
          merger.latest = 1e15;
          for (const { bytes, at: offset, cpu, whole } of damages) {
            const page = pageOf(Array.from({ length: 60 }, (_, i) => at(1000 + i, i % TYPES)));
            page.set(bytes.subarray(0, 4096 - offset), offset);
            add(cpu, whole ? page : page.subarray(0, offset));
          }
          merger.run(1e15);
          assert.equal(merger.pendingPages(), 0);
        },
      ),
      { numRuns: 500 },
    );
  });
});
