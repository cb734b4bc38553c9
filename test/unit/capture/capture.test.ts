import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { KernelError, UsageError } from '../../../src/model/errors.ts';
import type { PageLayout } from '../../../src/model/format.ts';
import type { BufferStats, TraceMetadata } from '../../../src/model/source.ts';
import { type Capture, openCapture } from '../../../src/tracedat/read.ts';
import { openCaptureWriter } from '../../../src/tracedat/write.ts';
import { LAYOUT_4K, pageOf } from '../../support/pages.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/formats-6.18');
const EVENTS = ['sched:sched_switch', 'irq:softirq_entry', 'sched:sched_wakeup'];
const PRINT = `name: print
ID: 5
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;

print fmt: "%s", REC->buf
`;

const SYMBOLS = 'ffffffff81000010 t vfs_read\nffffffff81000020 t vfs_write\t[mod]\n';

const dir = mkdtempSync(join(tmpdir(), 'capture-test-'));
after(() => rmSync(dir, { recursive: true }));

function metadataWith(over: Partial<TraceMetadata> = {}): TraceMetadata {
  return {
    layout: LAYOUT_4K,
    clock: 'mono',
    machine: 'x86_64',
    kernelRelease: '6.18.44-test',
    cpuCount: 4,
    events: () => EVENTS,
    formatText: (event) => {
      if (event === 'ftrace:print') return PRINT;
      return EVENTS.includes(event)
        ? readFileSync(join(FIXTURES, event.replace(':', '/')), 'utf8')
        : undefined;
    },
    ...over,
  };
}

function statsOf(cpu: number, readEvents = 7): BufferStats {
  return { cpu, entries: 0, overrun: 3, commitOverrun: 1, droppedEvents: 2, readEvents, bytes: 44 };
}

/** A page whose event has the page's number as timestamp. */
function page(number: number, layout: PageLayout = LAYOUT_4K): Uint8Array {
  return pageOf([{ ts: number, type: 372 }], { layout });
}

/** Writes pages by CPU to a recording. */
function write(name: string, pages: Record<number, Uint8Array[]>, metadata = metadataWith()): string {
  const path = join(dir, name);
  const writer = openCaptureWriter(path, { metadata, events: EVENTS });
  const longest = Math.max(0, ...Object.values(pages).map((list) => list.length));
  for (let i = 0; i < longest; i++) {
    for (const [cpu, list] of Object.entries(pages))
      if (i < list.length) writer.addPage(Number(cpu), list[i]);
  }
  writer.finish({ stats: [statsOf(0), statsOf(2, 9)], cmdlines: '1 init\n27414 node\n', kallsyms: SYMBOLS });
  return path;
}

/** Reads all pages of all CPUs. Fails if a CPU returns pages without end. */
function readAll(capture: Capture): Map<number, Uint8Array[]> {
  const { pageSize } = capture.metadata.layout;
  const pages = new Map<number, Uint8Array[]>();
  for (const cpu of capture.source.cpus()) {
    const list: Uint8Array[] = [];
    for (;;) {
      const into = new Uint8Array(pageSize);
      const read = capture.source.readPage(cpu, into);
      if (read === 0) break;
      assert.equal(read, pageSize);
      list.push(into);
      assert.ok(list.length <= capture.cpuPages(cpu));
    }
    pages.set(cpu, list);
  }
  return pages;
}

describe('a capture', () => {
  it('gives back what was written', () => {
    const path = write('whole.dat', {
      0: [page(1), page(2)],
      3: Array.from({ length: 40 }, (_, i) => page(i)),
    });
    const capture = openCapture(path);
    assert.deepEqual(capture.problems, []);
    const { metadata } = capture;
    assert.deepEqual(metadata.layout, LAYOUT_4K);
    assert.equal(metadata.clock, 'mono');
    assert.equal(metadata.machine, 'x86_64');
    assert.equal(metadata.kernelRelease, '6.18.44-test');
    assert.equal(metadata.cpuCount, 4);
    assert.equal(capture.kallsyms(), SYMBOLS);
    assert.deepEqual(new Set(metadata.events()), new Set(EVENTS));
    for (const event of EVENTS) assert.equal(metadata.formatText(event), metadataWith().formatText(event));
    assert.equal(metadata.formatText('ftrace:print'), PRINT);
    assert.equal(metadata.formatText('sched:sched_waking'), undefined);
    assert.deepEqual(capture.stats, [statsOf(0), statsOf(2, 9)]);
    assert.deepEqual(capture.source.cpus(), [0, 2, 3]);
    assert.deepEqual([0, 1, 2, 3, 4].map(capture.cpuPages), [2, 0, 0, 40, 0]);
    const pages = readAll(capture);
    assert.deepEqual(pages.get(0), [page(1), page(2)]);
    assert.deepEqual(pages.get(2), []);
    assert.deepEqual(
      pages.get(3),
      Array.from({ length: 40 }, (_, i) => page(i)),
    );
    assert.equal(capture.source.readPage(9, new Uint8Array(4096)), 0);
    capture.close();
    capture.close();
  });

  it('leaves no file but its own', () => {
    write('only.dat', { 0: [page(1)] });
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith('only')),
      ['only.dat'],
    );
  });

  it('can be empty', () => {
    const capture = openCapture(write('empty.dat', {}));
    assert.deepEqual(capture.problems, []);
    assert.deepEqual(capture.source.cpus(), [0, 2]);
    capture.close();
  });

  for (const layout of [
    { ...LAYOUT_4K, pageSize: 65536 },
    { ...LAYOUT_4K, commitSize: 4 as const, dataOffset: 12 },
  ]) {
    it(`keeps pages of ${layout.pageSize} bytes with ${layout.commitSize} of commit`, () => {
      const path = write('layout.dat', { 1: [page(1, layout), page(2, layout)] }, metadataWith({ layout }));
      const capture = openCapture(path);
      assert.deepEqual(capture.metadata.layout, layout);
      assert.deepEqual(readAll(capture).get(1), [page(1, layout), page(2, layout)]);
      capture.close();
    });
  }

  it('fills short pages with zeroes, also where others were before', () => {
    const full = new Uint8Array(4096).fill(0xff);
    const half = new Uint8Array(2048).fill(0xff);
    const expected = new Uint8Array(4096);
    expected.set(half);
    const capture = openCapture(write('short.dat', { 0: [...Array(20).fill(full), half, half] }));
    const pages = readAll(capture).get(0);
    assert.deepEqual(pages?.slice(20), [expected, expected]);
    capture.close();
  });

  it('keeps the name of the clock', () => {
    for (const clock of ['local', 'mono', 'x86-tsc']) {
      const capture = openCapture(write('clock.dat', {}, metadataWith({ clock })));
      assert.equal(capture.metadata.clock, clock);
      capture.close();
    }
  });
});

describe('openCaptureWriter', () => {
  it('says what it cannot write', () => {
    const metadata = metadataWith();
    assert.throws(
      () => openCaptureWriter(join(dir, 'missing/x.dat'), { metadata, events: [] }),
      (error) => error instanceof KernelError && error.errno === 'ENOENT' && /directory/.test(error.message),
    );
    assert.throws(
      () => openCaptureWriter(join(dir, 'x.dat'), { metadata, events: ['a:b'] }),
      /a:b.*no format/,
    );
    const writer = openCaptureWriter(join(dir, 'x.dat'), { metadata, events: [] });
    assert.throws(() => writer.addPage(4, page(1)), /CPU 4/);
    assert.throws(() => writer.addPage(0, new Uint8Array(4097)), /4097/);
    writer.discard();
    writer.discard();
    assert.throws(() => writer.addPage(0, page(1)), /after the end/);
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith('x.dat')),
      [],
    );
  });

  it('replaces only regular files, and follows no link', () => {
    const metadata = metadataWith();
    const device = join(dir, 'device.dat');
    symlinkSync('/dev/null', device);
    for (const path of [dir, device, '/dev/null'])
      assert.throws(() => openCaptureWriter(path, { metadata, events: [] }), UsageError, path);
    const other = join(dir, 'other');
    writeFileSync(other, 'untouched');
    const path = join(dir, 'linked.dat');
    for (const name of ['.partial', '.cpu0.partial']) symlinkSync(other, path + name);
    const writer = openCaptureWriter(path, { metadata, events: [] });
    writer.addPage(0, page(1));
    writer.finish({ stats: [] });
    assert.equal(readFileSync(other, 'utf8'), 'untouched');
  });

  it('keeps the old file until the new one is finished', () => {
    const path = join(dir, 'kept.dat');
    writeFileSync(path, 'old');
    const writer = openCaptureWriter(path, { metadata: metadataWith(), events: EVENTS });
    writer.addPage(0, page(1));
    assert.equal(readFileSync(path, 'utf8'), 'old');
    writer.finish({ stats: [] });
    assert.throws(() => writer.finish({ stats: [] }), /twice/);
    const capture = openCapture(path);
    assert.equal(capture.cpuPages(0), 1);
    capture.close();
  });
});

describe('openCapture', () => {
  it('refuses files of other kinds', () => {
    const path = join(dir, 'not.dat');
    const usage = (content: string | Buffer, message: RegExp) => {
      writeFileSync(path, content);
      assert.throws(
        () => openCapture(path),
        (error) => error instanceof UsageError && message.test(error.message) && error.message.includes(path),
      );
    };
    usage('', /not a complete trace.dat/);
    usage('# tracer: nop\n#\n', /not a trace.dat/);
    const magic = '\x17\x08\x44tracing';
    usage(`${magic}8\0${'x'.repeat(100)}`, /version "8"; only 6 and 7/);
    usage(`${magic}7\0\0\x08\0\x10\0\0lz4\x001\0${'x'.repeat(100)}`, /"lz4".*only zlib and zstd.*convert/);
    usage(
      `${magic}7\0\0\x08\0\x10\0\0zstd\x001\0${'\x7f'.repeat(100)}`,
      /not a complete trace.dat.*section 0/,
    );
    usage(`${magic}6\0\x01\x08${'x'.repeat(300)}`, /big-endian/);
    usage(`${magic}6\0\0\x08\0\x10\0\0header_pagX`, /header_page/);
    assert.throws(
      () => openCapture(join(dir, 'missing.dat')),
      (error) => error instanceof KernelError && error.errno === 'ENOENT',
    );
    assert.throws(
      () => openCapture(dir),
      (error) => error instanceof UsageError || error instanceof KernelError,
    );
  });

  it('uses the pages before the cut, and names the place', () => {
    const path = write('cut.dat', { 0: [page(1), page(2)], 1: [page(3), page(4), page(5)] });
    truncateSync(path, readFileSync(path).length - 4096 - 100);
    const capture = openCapture(path);
    assert.deepEqual(
      [...readAll(capture)].map(([cpu, pages]) => [cpu, pages.length]),
      [
        [0, 2],
        [1, 1],
        [2, 0],
      ],
    );
    assert.equal(capture.problems.length, 1);
    assert.match(
      capture.problems[0],
      /CPU 1: the file ends after 8092 of its 12288 bytes, at byte \d+, within page 2 of 3/,
    );
    capture.close();
  });

  it('keeps the formats before a cut, and names the damaged part', () => {
    const path = write('front.dat', { 0: [page(1)] });
    truncateSync(path, readFileSync(path).indexOf('name: sched_wakeup') + 50);
    const capture = openCapture(path);
    assert.deepEqual(capture.metadata.events(), ['sched:sched_switch']);
    assert.deepEqual(capture.source.cpus(), []);
    assert.equal(capture.problems.length, 1);
    assert.match(
      capture.problems[0],
      /damaged at byte \d+: the file ends within a format of sched, after 50 of \d+ bytes/,
    );
    capture.close();
  });

  it('notices when the file becomes shorter', () => {
    const path = write('shrinks.dat', { 0: [page(1), page(2)] });
    const capture = openCapture(path);
    truncateSync(path, 100);
    assert.deepEqual(readAll(capture).get(0), []);
    assert.match(capture.problems.join(), /CPU 0: .*truncated.* at page 1 of 2, byte \d+/);
    assert.ok(capture.isCut(0));
    capture.close();
  });

  const base = readFileSync(
    write('base.dat', { 0: [page(1), page(2)], 1: [page(3)], 3: [page(4), page(5)] }),
  );
  const basePages = 5;

  /** Opens and reads any file. Fails on errors other than those that are meant for users. */
  function survive(bytes: Uint8Array): number | undefined {
    const path = join(dir, 'fuzzed.dat');
    writeFileSync(path, bytes);
    try {
      const capture = openCapture(path);
      const pages = [...readAll(capture).values()].reduce((sum, list) => sum + list.length, 0);
      assert.ok(capture.problems.length < 20, capture.problems.join('\n'));
      assert.ok(pages * capture.metadata.layout.pageSize <= bytes.length);
      if (pages < basePages && capture.metadata.layout.pageSize === 4096)
        assert.ok(
          capture.problems.length > 0 || bytes.length === base.length,
          'pages are missing and nothing says so',
        );
      capture.close();
      return pages;
    } catch (error) {
      if (error instanceof UsageError) return undefined;
      throw error;
    }
  }

  it('survives any cut', () => {
    assert.equal(survive(base), basePages);
    fc.assert(
      fc.property(fc.nat(base.length - 1), (length) => {
        survive(base.subarray(0, length));
      }),
      { numRuns: 300 },
    );
  });

  it('survives flipped bytes', () => {
    const flips = fc.array(fc.tuple(fc.nat(base.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    // Most of the file is pages, whose content is not checked here, so also change bytes near its start.
    const front = fc.array(fc.tuple(fc.nat(9000), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.oneof(flips, front), (changes) => {
        const bytes = Uint8Array.from(base);
        for (const [at, mask] of changes) bytes[at] ^= mask;
        survive(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('survives impossible lengths, wherever they are', () => {
    for (let at = 0; at < Math.min(base.length, 9000); at += 11) {
      const bytes = Uint8Array.from(base);
      bytes.fill(0xff, at, at + 8);
      survive(bytes);
    }
  });
});
