/**
 * Measures the time to render one scrape of about 50,000 samples: our writers against prom-client, and protobuf against
 * protobufjs. All render the same series in the same process, in turns. `node bench/render.ts` prints the medians.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Counter, Histogram, Registry } from 'prom-client';
import { createProtobufRenderer } from '../src/export/exposition/protobuf.ts';
import { createRenderer } from '../src/export/exposition/text.ts';
import { createSnapshotReader } from '../src/metrics/snapshot-reader.ts';
import { MetricStore } from '../src/metrics/store.ts';
import type { MetricSnapshot } from '../src/model/metric.ts';
import { classicSamples, decodeFamilies } from '../test/support/protobuf.ts';
import { makeProtobufjsRenderer } from './protobufjs.ts';
import { median } from './support.ts';

const FUNCTIONS = 500;
const CPUS = 4;
const BOUNDS = [1, 2, 5].flatMap((digit) => [-6, -5, -4, -3, -2, -1, 0].map((e) => Number(`${digit}e${e}`)));
BOUNDS.push(10);
BOUNDS.sort((a, b) => a - b);
const OBSERVATIONS_PER_SERIES = 20;
const ROUNDS = 15;
const PROTOBUFJS = 'protobufjs, protobuf';
const OWN_PROTOBUF = 'own writer, protobuf';

export interface RenderFigures {
  name: string;
  /** Median of all rounds. One render is measured per round. */
  milliseconds: number;
  /** Share of prom-client's time. */
  ratio: number;
  samples: number;
  bytes: number;
}

/** Renders in turns and returns the medians; the first entry is prom-client's. */
export async function benchRender(rounds = ROUNDS): Promise<RenderFigures[]> {
  const { store, registry } = fill();
  const reader = createSnapshotReader();
  const text = createRenderer();
  const protobuf = createProtobufRenderer();
  const protobufjs = makeProtobufjsRenderer();
  // Collect garbage before each render, so that no render pays for the garbage of another.
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  // Measures what happens in a scrape after another thread has sent the snapshot: it is completed and rendered.
  const ours = (render: (snapshot: MetricSnapshot) => Buffer) => {
    const snapshot = structuredClone(store.snapshot(reader.known()));
    collectGarbage();
    const startedAt = performance.now();
    const full = reader.expand(snapshot);
    if (full === undefined) throw new Error('the snapshot does not follow the one before');
    const body = render(full);
    return { ms: performance.now() - startedAt, body };
  };
  const theirs = async () => {
    collectGarbage();
    const startedAt = performance.now();
    const body = Buffer.from(await registry.metrics());
    return { ms: performance.now() - startedAt, body };
  };

  const runs = new Map<string, { ms: number; body: Buffer }[]>();
  const note = (name: string, run: { ms: number; body: Buffer }) => {
    runs.set(name, [...(runs.get(name) ?? []), run]);
  };
  for (let round = 0; round < rounds; round++) {
    note('prom-client, text', await theirs());
    note(
      'own writer, text',
      ours((snapshot) => text.render([snapshot], 'text')),
    );
    note(
      'own writer, openmetrics',
      ours((snapshot) => text.render([snapshot], 'openmetrics')),
    );
    note(PROTOBUFJS, ours(protobufjs));
    note(
      OWN_PROTOBUF,
      ours((snapshot) => protobuf.render([snapshot])),
    );
  }

  const figures: RenderFigures[] = [];
  for (const [name, all] of runs) {
    const milliseconds = median(all.map(({ ms }) => ms));
    const body = all[0].body;
    const isProtobuf = name === PROTOBUFJS || name === OWN_PROTOBUF;
    const samples = isProtobuf
      ? classicSamples(decodeFamilies(body)).length
      : (body.toString().match(/^[^#\n]/gm)?.length ?? 0);
    const ratio = milliseconds / (figures[0]?.milliseconds ?? milliseconds);
    figures.push({ name, milliseconds, ratio, samples, bytes: body.length });
  }
  return figures;
}

/** Makes the same series and observations for our store and for prom-client. */
function fill(): { store: MetricStore; registry: Registry } {
  const store = new MetricStore();
  const registry = new Registry();
  const labels = ['function', 'cpu'];
  const names = { histogram: 'ftrace_function_duration_seconds', counter: 'ftrace_function_calls_total' };
  const help = 'Same help for both.';
  const histogram = store.histogram({ name: names.histogram, help, labels, bounds: BOUNDS, maxSeries: 1e6 });
  const counter = store.counter({ name: names.counter, help, labels, maxSeries: 1e6 });
  const registers = [registry];
  const theirHistogram = new Histogram({
    name: names.histogram,
    help,
    labelNames: labels,
    buckets: BOUNDS,
    registers,
  });
  const theirCounter = new Counter({ name: names.counter, help, labelNames: labels, registers });
  let random = 1;
  for (let f = 0; f < FUNCTIONS; f++) {
    for (let cpu = 0; cpu < CPUS; cpu++) {
      const values = [`vfs_function_number_${f}`, String(cpu)];
      const slot = histogram.slot(values);
      const calls = counter.slot(values);
      const theirLabels = { function: values[0], cpu: values[1] };
      for (let i = 0; i < OBSERVATIONS_PER_SERIES; i++) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        const ns = Math.round(1000 * 2 ** ((random / 2 ** 32) * 16));
        histogram.record(slot, ns);
        counter.add(calls, 1000 + f);
        theirHistogram.observe(theirLabels, ns / 1e9);
        theirCounter.inc(theirLabels, 1000 + f);
      }
    }
  }
  return { store, registry };
}

export async function printRender(): Promise<void> {
  console.log('\nrendering, prom-client = 100 %; protobuf has classic and native histograms');
  for (const { name, milliseconds, ratio, samples, bytes } of await benchRender()) {
    console.log(
      `${name.padEnd(24)} ${milliseconds.toFixed(1).padStart(7)} ms  ${(ratio * 100).toFixed(1).padStart(5)} %` +
        `  ${samples} samples, ${(bytes / 1e6).toFixed(1)} MB`,
    );
  }
}

if (import.meta.main) await printRender();
