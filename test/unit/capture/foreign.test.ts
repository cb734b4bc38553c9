/** Recordings as other tools make them: version 7, compressed, from other machines, with other clocks and instances. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../../src/model/errors.ts';
import type { PageLayout } from '../../../src/model/format.ts';
import { brokenPages } from '../../../src/tracedat/broken-pages.ts';
import { cpuStatsText } from '../../../src/tracedat/cpu-stats.ts';
import { type Capture, type OpenOptions, openCapture } from '../../../src/tracedat/read.ts';
import { openCaptureWriter } from '../../../src/tracedat/write.ts';
import { LAYOUT_4K, pageOf } from '../../support/pages.ts';
import { type FileParts, le, traceDat7 } from './trace-dat-v7.ts';

const SYMBOLS = 'ffffffff81000010 t vfs_read\n';
const dir = mkdtempSync(join(tmpdir(), 'foreign-test-'));
after(() => rmSync(dir, { recursive: true }));
const path = join(dir, 'foreign.dat');

const page = (ts: number, layout: PageLayout = LAYOUT_4K) => pageOf([{ ts, type: 372 }], { layout });
const pages = (count: number, first = 1, layout: PageLayout = LAYOUT_4K) =>
  Array.from({ length: count }, (_, i) => page(first + i, layout));

/** Reads all pages of a file by CPU, and closes it. Fails if a CPU returns pages without end. */
function readAll(file: Uint8Array | FileParts, options: OpenOptions = {}) {
  writeFileSync(path, file instanceof Uint8Array ? file : traceDat7(file));
  const capture = openCapture(path, options);
  const read = Object.fromEntries(capture.source.cpus().map((cpu) => [cpu, readCpu(capture, cpu)]));
  const symbols = capture.kallsyms();
  capture.close();
  return { capture, read, symbols, problems: capture.problems.join('\n') };
}

function readCpu(capture: Capture, cpu: number): Uint8Array[] {
  const list: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(capture.metadata.layout.pageSize);
    if (capture.source.readPage(cpu, into) === 0) return list;
    list.push(into);
    assert.ok(list.length <= capture.cpuPages(cpu));
  }
}

describe('a recording of version 7', () => {
  const layouts = {
    'of 4 KiB pages': LAYOUT_4K,
    'of 64 KiB pages': { ...LAYOUT_4K, pageSize: 65536 },
    'of a 32-bit machine': { ...LAYOUT_4K, commitSize: 4 as const, dataOffset: 12 },
  };
  for (const compression of ['none', 'zlib', 'zstd'] as const) {
    for (const [what, layout] of Object.entries(layouts)) {
      it(`is read ${what}, compression ${compression}`, () => {
        const written = { 0: pages(5, 1, layout), 3: pages(4, 9, layout), 4: [] };
        const { capture, read, problems, symbols } = readAll({
          compression,
          layout,
          events: ['sched:sched_switch', 'irq:softirq_entry'],
          buffers: [{ pages: written, clock: 'mono' }],
          kallsyms: SYMBOLS,
          options: [
            [8, le(8, 4)],
            [5, 'Linux host 5.15.0-91-generic x86_64'],
            [99, 'of the future'],
          ],
        });
        assert.equal(problems, '');
        assert.deepEqual(read, { 0: written[0], 3: written[3] });
        assert.deepEqual(capture.metadata.layout, layout);
        assert.deepEqual(capture.metadata.events(), ['sched:sched_switch', 'irq:softirq_entry']);
        assert.equal(capture.metadata.cpuCount, 8);
        assert.equal(capture.metadata.kernelRelease, '5.15.0-91-generic');
        assert.equal(capture.metadata.machine, 'x86_64');
        assert.equal(capture.metadata.clock, 'mono');
        assert.equal(capture.nsPerStamp, 1);
        assert.equal(symbols, SYMBOLS);
      });
    }
  }

  it('has the page size of its buffer, if header_page has another', () => {
    const layout = { ...LAYOUT_4K, pageSize: 16384 };
    const written = { 0: pages(3, 1, layout) };
    const bytes = traceDat7({ layout, buffers: [{ pages: written }] });
    const size = Buffer.from('size:16368');
    size.copy(bytes, bytes.indexOf(size));
    Buffer.from('size:4080 ;').copy(bytes, bytes.indexOf('size:16368;'));
    const { capture, read } = readAll(bytes);
    assert.equal(capture.metadata.layout.pageSize, 16384);
    assert.deepEqual(read, written);
  });

  it('that is the text of a latency tracer is refused', () => {
    const text = Buffer.concat([le(0, 8), Buffer.from('\0local\0')]);
    assert.throws(() => readAll({ options: [[22, text]] }), /latency tracer/);
  });

  it('ends if sections of options form a circle', () => {
    const first = traceDat7({}).readUInt32LE(18 + 'none\x001.0\0'.length + 0);
    const { problems } = readAll({ lastOffset: first });
    assert.match(problems, /form a loop/);
  });
});

describe('of several buffers', () => {
  const buffers = [
    { pages: { 0: pages(1) } },
    { name: 'a', pages: { 0: pages(2), 1: pages(1) } },
    { name: 'b', pages: { 1: pages(3) } },
  ];
  const stats = (cpu: number, overrun: number) =>
    cpuStatsText({ cpu, overrun, entries: 0, commitOverrun: 0, droppedEvents: 0, readEvents: 0, bytes: 0 });
  const options = [
    [2, stats(0, 1)],
    [2, '\nBuffer: a\n\n'],
    [2, stats(0, 2)],
    [2, stats(1, 3)],
    [2, '\nBuffer: b\n\n'],
    [2, stats(1, 4)],
  ] as const;
  const overruns = (capture: Capture) => capture.stats.map(({ overrun }) => overrun);

  it("the top level's is read, and the others are named", () => {
    const { capture, read, problems } = readAll({ buffers, options });
    assert.deepEqual(read, buffers[0].pages);
    assert.deepEqual(overruns(capture), [1]);
    assert.match(problems, /3 buffers.*top level.*--instance.*"a", "b"/);
  });

  it('the first that has events is read, if the top level has none', () => {
    const { capture, read, problems } = readAll({ buffers: [{ pages: {} }, ...buffers.slice(1)], options });
    assert.deepEqual(read, buffers[1].pages);
    assert.equal(capture.instance, 'a');
    assert.deepEqual(overruns(capture), [2, 3]);
    assert.match(problems, /2 buffers; this replay reads instance "a"/);
  });

  it('one is read by name, without a warning about the others', () => {
    const { capture, read, problems } = readAll({ buffers, options }, { instance: 'b' });
    assert.deepEqual(read, buffers[2].pages);
    assert.deepEqual(overruns(capture), [4]);
    assert.equal(problems, '');
  });

  it('a missing one is refused, with the names of those that exist', () => {
    const refusal = (message: RegExp) => (error: unknown) =>
      error instanceof UsageError && message.test(error.message);
    assert.throws(() => readAll({ buffers }, { instance: 'c' }), refusal(/no instance "c": it has "a", "b"/));
    assert.throws(() => readAll({ buffers: [buffers[0]] }, { instance: 'c' }), refusal(/it has none/));
  });

  it('version 6 keeps them behind the first', () => {
    const metadata = {
      layout: LAYOUT_4K,
      clock: 'mono',
      machine: 'x86_64',
      kernelRelease: '6.1.0',
      cpuCount: 2,
      events: () => [],
      formatText: () => undefined,
    };
    const writer = openCaptureWriter(path, { metadata, events: [] });
    for (const each of pages(2)) writer.addPage(1, each);
    writer.finish({ stats: [] });
    const whole = openCapture(path);
    const at = Number(/\d+/.exec(whole.placeOf(1, 0))?.[0]);
    whole.close();
    const file = withInstance6(path, at);
    const top = readAll(file);
    assert.deepEqual(top.read, { 1: pages(2) });
    assert.match(top.problems, /2 buffers.*--instance.*"late"/);
    const late = readAll(file, { instance: 'late' });
    assert.deepEqual(late.read, { 0: pages(1, 77), 2: pages(2, 88) });
    assert.equal(late.capture.metadata.cpuCount, 3);
    assert.equal(late.problems, '');
  });
});

/** Adds an instance `late` with three CPUs to a file of version 6 that has two CPUs and pages from `at` on. */
function withInstance6(file: string, at: number): Uint8Array {
  const bytes = readFileSync(file);
  const flyrecord = bytes.indexOf('flyrecord\0');
  const name = Buffer.from('late\0');
  const instanceAt = Math.ceil((bytes.length + LAYOUT_4K.pageSize) / LAYOUT_4K.pageSize) * LAYOUT_4K.pageSize;
  const option = Buffer.concat([le(3, 2), le(8 + name.length, 4), le(instanceAt, 8), name]);
  const tableBytes = 32;
  const front = Buffer.concat([
    bytes.subarray(0, flyrecord - 2),
    option,
    bytes.subarray(flyrecord - 2, flyrecord + 10 + tableBytes),
  ]);
  assert.ok(front.length <= at, 'the option fits into the padding before the pages');
  const from = instanceAt + LAYOUT_4K.pageSize;
  const own = [
    Buffer.from('options  \0'),
    le(8, 2),
    le(4, 4),
    le(3, 4),
    le(0, 2),
    Buffer.from('flyrecord\0'),
  ];
  own.push(le(from, 8), le(4096, 8), le(0, 8), le(0, 8), le(from + 4096, 8), le(8192, 8));
  const out = Buffer.alloc(from + 3 * 4096);
  bytes.copy(out);
  out.fill(0, flyrecord - 2, at);
  front.copy(out);
  Buffer.concat(own).copy(out, instanceAt);
  Buffer.concat([...pages(1, 77), ...pages(2, 88)]).copy(out, from);
  return out;
}

describe('the clock', () => {
  const clockOf = (options: NonNullable<FileParts['options']>, clock = 'local') => {
    const { capture, problems } = readAll({ buffers: [{ clock, pages: { 0: pages(1) } }], options });
    return { name: capture.metadata.clock, nsPerStamp: capture.nsPerStamp, problems };
  };
  const tsc2nsec = [14, Buffer.concat([le(3_000_000, 4), le(22, 4), le(5, 8)])] as const;

  it('is that of TRACECLOCK, before that of the buffer', () => {
    assert.deepEqual(clockOf([[4, 'local [boot] tai']], 'counter'), {
      name: 'boot',
      nsPerStamp: 1,
      problems: '',
    });
    assert.deepEqual(clockOf([], 'global'), { name: 'global', nsPerStamp: 1, problems: '' });
  });

  for (const name of ['counter', 'uptime', 'x86-tsc', 's390-tod']) {
    it(`${name} gives no durations`, () => {
      const clock = clockOf([[4, `local [${name}]`]]);
      assert.equal(clock.nsPerStamp, undefined);
      assert.match(clock.problems, new RegExp(`clock ${name} are not nanoseconds`));
    });
  }

  it('of the processor is converted by TSC2NSEC', () => {
    const expected = { name: 'x86-tsc', nsPerStamp: 3_000_000 / 2 ** 22, problems: '' };
    assert.deepEqual(clockOf([[4, 'local [x86-tsc]'], tsc2nsec]), expected);
  });

  it('of nanoseconds is not converted', () => {
    const clock = clockOf([[4, '[mono]'], tsc2nsec]);
    assert.equal(clock.nsPerStamp, 1);
    assert.match(clock.problems, /TSC2NSEC is not applied: the clock is mono/);
  });

  it('is not shifted, and a warning says so', () => {
    const { problems } = clockOf([
      [7, '-123'],
      [12, Buffer.alloc(20)],
    ]);
    assert.match(problems, /ignored the option OFFSET/);
    assert.match(problems, /ignored the option TIME_SHIFT/);
  });
});

describe('a damaged recording', () => {
  const parts: FileParts = { compression: 'zstd', buffers: [{ pages: { 0: pages(6), 2: pages(2, 50) } }] };
  const isLost = (bytes: Uint8Array) => (bytes[LAYOUT_4K.commitOffset + 3] & 0x80) !== 0;
  const chunkAt = (number: number): number => {
    writeFileSync(path, traceDat7(parts));
    const capture = openCapture(path);
    capture.close();
    return Number(/\d+/.exec(capture.placeOf(0, number * 2))?.[0]);
  };

  it('gives the pages around a bad chunk, with a loss between them', () => {
    const bytes = traceDat7(parts);
    const at = chunkAt(1);
    bytes.fill(0x55, at, at + 8);
    const { capture, read, problems } = readAll(bytes);
    assert.deepEqual(read[0].slice(0, 2), pages(2));
    assert.equal(read[0].length, 4);
    assert.deepEqual(read[0].map(isLost), [false, false, true, false]);
    assert.deepEqual(read[2], pages(2, 50));
    assert.match(
      problems,
      new RegExp(`CPU 0: the chunk at byte ${at} with pages 3 to 4 of 6 can't be read: zstd`),
    );
    assert.ok(!capture.isCut(0));
  });

  it('is cut where its last chunk is bad', () => {
    const bytes = traceDat7(parts);
    const at = chunkAt(2);
    bytes.fill(0x55, at, at + 8);
    const { capture, read } = readAll(bytes);
    assert.deepEqual(read[0], pages(4));
    assert.ok(capture.isCut(0));
    assert.ok(!capture.isCut(2));
  });

  it('is used as far as its chunks make sense', () => {
    const bytes = traceDat7(parts);
    le(4095, 4).copy(bytes, chunkAt(1) - 4);
    const { capture, read, problems } = readAll(bytes);
    assert.deepEqual(read[0], pages(2));
    assert.ok(capture.isCut(0));
    assert.match(
      problems,
      /CPU 0: its pages end early at byte \d+: 4095 bytes.*\(chunk 2 of 3, starting with page 3\)/,
    );
  });

  it('names the pages that cannot be decoded', () => {
    const broken = page(2);
    broken.fill(0xff, LAYOUT_4K.dataOffset, LAYOUT_4K.dataOffset + 4);
    writeFileSync(path, traceDat7({ buffers: [{ pages: { 1: [page(1), broken, page(3)] } }] }));
    assert.equal(brokenPages(path).length, 1);
    assert.match(brokenPages(path)[0], /CPU 1: page 2 of 3, byte \d+: .*event_past_end/);
  });

  it('says that the table of pages is missing', () => {
    const { length } = traceDat7(parts);
    writeFileSync(path, traceDat7(parts));
    // The sections of options are at the end of the file. The chain begins with the last one, which is cut off here.
    truncateSync(path, length - 60);
    assert.throws(() => openCapture(path), UsageError);
  });

  for (const compression of ['none', 'zstd', 'zlib'] as const) {
    const base = traceDat7({
      compression,
      buffers: [{ pages: { 0: pages(3), 1: pages(2) } }, { name: 'x', pages: { 0: pages(1) } }],
    });
    const survive = (bytes: Uint8Array) => {
      try {
        const { capture, problems } = readAll(bytes);
        assert.ok(problems.split('\n').length < 20, problems);
        for (const cpu of capture.source.cpus()) capture.placeOf(cpu, 1);
        return Object.values(readAll(bytes).read).flat().length;
      } catch (error) {
        if (error instanceof UsageError) return undefined;
        throw error;
      }
    };

    it(`survives any cut, compression ${compression}`, () => {
      assert.equal(survive(base), 5);
      fc.assert(
        fc.property(fc.nat(base.length - 1), (length) => {
          survive(base.subarray(0, length));
        }),
        { numRuns: 200 },
      );
    });

    it(`survives flipped bytes and lengths that cannot be, compression ${compression}`, () => {
      const flip = fc.tuple(
        fc.nat(base.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.constantFrom(1, 4, 8),
      );
      fc.assert(
        fc.property(fc.array(flip, { minLength: 1, maxLength: 6 }), (changes) => {
          const bytes = Uint8Array.from(base);
          for (const [at, mask, count] of changes)
            for (let i = at; i < Math.min(bytes.length, at + count); i++) bytes[i] ^= mask;
          survive(bytes);
        }),
        { numRuns: 300 },
      );
      // Changes the start of the file and the options, because they contain the lengths.
      const ends = [...Array(500).keys(), ...Array.from({ length: 700 }, (_, i) => base.length - 1 - i)];
      for (const at of ends.filter((_, i) => i % 3 === 0)) {
        const bytes = Uint8Array.from(base);
        bytes.fill(0xff, at, at + 8);
        survive(bytes);
      }
    });
  }
});
