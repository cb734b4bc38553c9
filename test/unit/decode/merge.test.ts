import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { Merger } from '../../../src/decode/merge.ts';
import { lastStamp, loadPage, makePage } from '../../../src/decode/page.ts';
import type { PageLayout } from '../../../src/model/format.ts';
import type { EventHandler } from '../../../src/model/record.ts';
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

  test('more CPUs than expected have their events in the order of time, also while others are in mid-page', () => {
    const { merger, seen, add } = collector();
    const cpus = 300;
    const eventsOf = (cpu: number) => [at(1000 - cpu), at(2000 + cpu), at(3000 - cpu)];
    for (let cpu = 0; cpu < cpus; cpu++) {
      add(cpu, pageOf(eventsOf(cpu)));
      if (cpu === 10) merger.run(992);
    }
    merger.run(1e6);
    const expected = Array.from({ length: cpus }, (_, cpu) => eventsOf(cpu).map(({ ts }) => ts)).flat();
    assert.deepEqual(
      stamps(seen).slice(3),
      expected.sort((a, b) => a - b).filter((ts) => ts < 990 || ts > 992),
    );
    assert.deepEqual(
      [0, 10, 299].map((cpu) => merger.events(cpu)),
      [3, 3, 3],
    );
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
