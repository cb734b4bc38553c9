import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EventPlan } from '../../../src/agent/plan/plan.ts';
import { bufferSizes, nextTickNs } from '../../../src/agent/plan/sizes.ts';
import { Pipeline } from '../../../src/agent/stream/pipeline.ts';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { LAYOUT_4K, pageOf, pageWriter } from '../../support/pages.ts';

const MIB = 1024 * 1024;

function planThatNotes() {
  const stamps: number[] = [];
  const plan: Pick<EventPlan, 'dispatcher' | 'onLoss'> = {
    dispatcher: makeDispatcher([
      { id: 1, handler: (record) => stamps.push(record.timestampNs), minLength: 8 },
    ]),
    onLoss: () => {},
  };
  return { plan, stamps };
}

/** A source that returns the pages of each CPU in order. */
function servingSource(pages: Uint8Array[][]) {
  return {
    cpus: () => pages.map((_, cpu) => cpu),
    readPage: (cpu: number, into: Uint8Array) => {
      const page = pages[cpu].shift();
      if (page === undefined) return 0;
      into.set(page);
      return page.length;
    },
  };
}

/** The source, but it can also read several pages at once. */
function batching(source: ReturnType<typeof servingSource>) {
  const readPages = (cpu: number, into: readonly Uint8Array[]) =>
    into.reduce((bytes, page) => bytes + source.readPage(cpu, page), 0);
  return { ...source, readPages };
}

/** A source that only reads several pages at once. */
const servingBatches = (pages: Uint8Array[][]) => ({
  ...batching(servingSource(pages)),
  readPage: () => assert.fail('single pages are slow'),
});

/** Pages by CPU with `n` events in all, one per microsecond from `start`. Seven successive events are on one CPU. */
function pagesFor(cpus: number, n: number, start = 1e9): Uint8Array[][] {
  const pages: Uint8Array[][] = Array.from({ length: cpus }, () => []);
  const writers = pages.map(() => pageWriter());
  for (let i = 0; i < n; i++) {
    const cpu = Math.floor(i / 7) % cpus;
    const event = { ts: start + i * 1000, type: 1 };
    if (writers[cpu].add(event)) continue;
    pages[cpu].push(writers[cpu].finish());
    writers[cpu] = pageWriter();
    writers[cpu].add(event);
  }
  writers.forEach((writer, cpu) => {
    pages[cpu].push(writer.finish());
  });
  return pages;
}

function pipelineOf(source: ReturnType<typeof servingSource>, pagesPerRound?: number) {
  const { plan, stamps } = planThatNotes();
  const errors: string[] = [];
  const pipeline = new Pipeline({
    source,
    layout: LAYOUT_4K,
    plan,
    onError: (_cpu, error) => errors.push(error),
    ...(pagesPerRound ? { pagesPerRound } : {}),
  });
  return { pipeline, stamps, errors };
}

describe('pipeline', () => {
  test('passes on everything in order, however the input is cut', () => {
    for (const serving of [servingSource, servingBatches])
      for (const pagesPerRound of [1, 2, 3, 7, 1000]) {
        const { pipeline, stamps, errors } = pipelineOf(serving(pagesFor(3, 5000)), pagesPerRound);
        pipeline.flush();
        assert.equal(stamps.length, 5000);
        assert.ok(stamps.every((ts, i) => i === 0 || ts > stamps[i - 1]));
        assert.deepEqual(errors, []);
      }
  });

  test('events younger than the settling time wait for the next tick', () => {
    const { pipeline, stamps } = pipelineOf(
      servingSource([
        [
          pageOf([
            { ts: 1e9, type: 1 },
            { ts: 1e9 + 3e6, type: 1 },
          ]),
        ],
      ]),
    );
    pipeline.tick(1e9 + 4e6, 100);
    assert.deepEqual(stamps, [1e9]);
    pipeline.tick(1e9 + 100e6, 100);
    assert.deepEqual(stamps, [1e9, 1e9 + 3e6]);
  });

  test('a buffer that our own reads keep filling does not extend the tick', () => {
    let reads = 0;
    const start = 1e9;
    const source = {
      cpus: () => [0],
      readPage: (_cpu: number, into: Uint8Array) => {
        reads++;
        into.set(pageOf([{ ts: start + reads * 1000, type: 1 }]));
        return 4096;
      },
    };
    for (const one of [source, batching(source)]) {
      reads = 0;
      pipelineOf(one, 4).pipeline.tick(start + 10_000, Number.POSITIVE_INFINITY);
      assert.ok(reads <= 12, `${reads} reads`);
    }
  });

  test('full pages after a part-filled one are not left behind', () => {
    const pages = pagesFor(1, 2000);
    pages[0].unshift(pageOf([{ ts: 1e9 - 5, type: 1 }]));
    const { pipeline, stamps } = pipelineOf(servingSource(pages));
    pipeline.tick(2e9, 100);
    assert.equal(stamps.length, 2001);
  });

  test('a busy CPU does not make the pages of a calm one pile up', () => {
    const busy = pagesFor(1, 100_000)[0];
    const calm = Array.from({ length: 500 }, (_, i) => pageOf([{ ts: 1e9 + i * 200_000, type: 1 }]));
    const { pipeline, stamps } = pipelineOf(servingSource([busy, calm]), 4);
    let most = 0;
    const { run } = pipeline.merger;
    pipeline.merger.run = function (watermark) {
      run.call(this, watermark);
      most = Math.max(most, this.pendingPages());
    };
    pipeline.flush();
    assert.equal(stamps.length, 100_500);
    assert.ok(most <= 16, `${most} pages were held`);
  });

  test('counts the bytes of events, not of pages', () => {
    const { pipeline } = pipelineOf(servingSource([[pageOf([{ ts: 5, type: 1 }])]]));
    pipeline.flush();
    assert.equal(pipeline.bytesRead(0), 12);
  });
});

describe('sizes', () => {
  const auto = { totalBytes: 64 * MIB, subbufferBytes: 'auto' as const };

  test('the total is divided, 0.5 to 16 MiB per CPU', () => {
    const per = (cpus: number) => bufferSizes(auto, { cpus, realtime: false }, 'low').bufferBytesPerCpu / MIB;
    assert.deepEqual([1, 2, 4, 8, 64, 128, 512].map(per), [16, 16, 16, 8, 1, 0.5, 0.5]);
    assert.match(
      bufferSizes(auto, { cpus: 512, realtime: false }, 'low').note ?? '',
      /too small for 512 CPUs/,
    );
  });

  test('per_cpu sets it directly', () => {
    const wanted = { ...auto, perCpuBytes: 64 * 1024 };
    assert.equal(bufferSizes(wanted, { cpus: 2, realtime: false }, 'low').bufferBytesPerCpu, 65536);
  });

  test('sub-buffers follow the rate, and stay small on real-time kernels', () => {
    const size = (realtime: boolean, rate: 'low' | 'high') =>
      bufferSizes(auto, { cpus: 2, realtime }, rate).subbufferBytes;
    assert.deepEqual([size(false, 'low'), size(false, 'high'), size(true, 'high')], [16384, 65536, 16384]);
  });

  test('the tick follows the fastest buffer, within bounds', () => {
    const rule = { rate: 'low', drainIntervalNs: 20e6, bufferBytesPerCpu: 17e6, cpus: 2 } as const;
    const calm = Number.POSITIVE_INFINITY;
    assert.equal(nextTickNs(rule, calm), 250e6);
    assert.equal(nextTickNs({ ...rule, rate: 'high' }, calm), 20e6);
    assert.equal(nextTickNs(rule, 40e6), 10e6);
    assert.equal(nextTickNs({ ...rule, rate: 'high' }, 1e6), 2e6);
  });

  test('at a high rate, small buffers make the tick shorter than the interval', () => {
    const tick = (bufferBytesPerCpu: number, drainIntervalNs: number) =>
      nextTickNs({ rate: 'high', drainIntervalNs, bufferBytesPerCpu, cpus: 64 }, Number.POSITIVE_INFINITY);
    assert.deepEqual([tick(6e6, 50e6), tick(2.4e6, 50e6), tick(0.6e6, 50e6)], [50e6, 40e6, 20e6]);
    assert.equal(tick(0.6e6, 5e6), 5e6);
  });

  test('a quiet tick leaves room for a burst on few CPUs, and is longer on many', () => {
    const rule = { rate: 'low', drainIntervalNs: 20e6, bufferBytesPerCpu: 6e6, cpus: 8 } as const;
    assert.equal(nextTickNs(rule, Number.POSITIVE_INFINITY), 100e6);
    assert.equal(nextTickNs({ ...rule, bufferBytesPerCpu: 1e6, cpus: 64 }, Number.POSITIVE_INFINITY), 250e6);
  });
});

describe('an interruption of the recording', () => {
  const stampsAndLosses = (gapUntil: number | undefined) => {
    const seen: string[] = [];
    const pipeline = new Pipeline({
      source: servingSource(pagesFor(2, 10)),
      layout: LAYOUT_4K,
      plan: {
        dispatcher: makeDispatcher([
          { id: 1, handler: ({ timestampNs }) => seen.push(`${(timestampNs - 1e9) / 1000}`), minLength: 8 },
        ]),
        onLoss: (cpu, untilNs) => seen.push(`void ${cpu} ${(untilNs - 1e9) / 1000}`),
      },
      onError: (_cpu, error) => assert.fail(error),
    });
    if (gapUntil !== undefined) pipeline.voidUntil(gapUntil);
    pipeline.flush();
    return seen;
  };

  test('is announced on all CPUs before what was read is passed on, and again at its end', () => {
    const announced = ['void 0 4.5', 'void 1 4.5'];
    assert.deepEqual(stampsAndLosses(1e9 + 4500), [
      ...announced,
      ...['0', '1', '2', '3', '4'],
      ...announced,
      ...['5', '6', '7', '8', '9'],
    ]);
  });

  test('that does not happen is not announced', () => {
    assert.equal(stampsAndLosses(undefined).length, 10);
  });

  test('what was read and not yet passed on can be counted', () => {
    const { pipeline } = pipelineOf(servingSource(pagesFor(2, 5000)));
    pipeline.tick(1e9 + 3_000_000, 1);
    for (const cpu of [0, 1]) assert.ok(pipeline.pendingEvents(cpu) > 0);
    pipeline.flush();
    assert.equal(pipeline.pendingEvents(0) + pipeline.pendingEvents(1), 0);
    assert.equal(pipeline.events(0) + pipeline.events(1), 5000);
  });
});
