/**
 * Contents of tracers' buffers, from kernels in virtual machines: raw pages, and the kernel's own text of the same
 * buffer. The pages go through plan, merge and probe like those of a live kernel.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { Merger } from '../../../src/decode/merge.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { type FunctionNames, NAMELESS } from '../../../src/model/function-names.ts';
import type { IntervalSinks } from '../../../src/model/intervals.ts';
import type { EventRecord } from '../../../src/model/record.ts';
import type { CommonOptions, ProbeModule } from '../../../src/probes/probe.ts';
import { LAYOUT_4K } from '../../support/pages.ts';
import { fakeHost, knownEvents } from './records.ts';

const FIXTURES = new URL('../../fixtures/', import.meta.url);
const CPUS = [0, 1];

/** Lines of the kernel's text, without headings and lines about losses. */
export function dumpedText(kernel: string, tracer: string): string[] {
  const text = readFileSync(new URL(`tracers-${kernel}/${tracer}.txt`, FIXTURES), 'utf8');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('CPU:'));
}

export interface Replayed {
  store: MetricStore;
  /** Number of events of a CPU, including those without a handler. */
  events(cpu: number): number;
}

/** Feeds a probe with the dumped pages of its tracer. Calls `watch` for each record before the probe's handler. */
export function replayDump<O extends CommonOptions>(
  kernel: string,
  tracer: string,
  module: ProbeModule<O>,
  section: Record<string, unknown>,
  more: {
    functions?: FunctionNames;
    intervals?: IntervalSinks;
    watch?(event: string, record: EventRecord): void;
  } = {},
): Replayed {
  const store = new MetricStore();
  const plan = planEvents({
    enabled: [
      {
        module: watched(module, more.watch),
        options: module.schema(schemaKit).parse(section),
        ...(more.intervals && { intervals: more.intervals }),
      },
    ],
    metadata: {
      clock: 'local',
      machine: 'x86_64',
      kernelRelease: kernel,
      cpuCount: CPUS.length,
      events: () => knownEvents(kernel),
      formatText: (event) => {
        const file = new URL(`formats-${kernel}/${event.replace(':', '/')}`, FIXTURES);
        return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
      },
    },
    host: fakeHost,
    onlineCpus: CPUS,
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
    functions: () => more.functions ?? NAMELESS,
  });
  assert.deepEqual(
    plan.probes.map(({ up, reason }) => ({ up, reason })),
    [{ up: true, reason: '' }],
  );
  const merger = new Merger(LAYOUT_4K, {
    dispatcher: plan.dispatcher,
    // Events lost before the first page are neither in the pages nor in the text.
    onLoss: plan.onLoss,
    onError: (cpu, error, cause) => assert.fail(`CPU ${cpu}: ${error} ${cause ?? ''}`),
  });
  for (const cpu of CPUS) {
    const file = new URL(`tracers-${kernel}/${tracer}.raw${cpu}`, FIXTURES);
    const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += LAYOUT_4K.pageSize) {
      const page = merger.takePage();
      page.bytes.set(bytes.subarray(at, at + LAYOUT_4K.pageSize));
      assert.equal(merger.add(cpu, page, LAYOUT_4K.pageSize), true);
    }
  }
  merger.run(Number.POSITIVE_INFINITY);
  return { store, events: (cpu) => merger.events(cpu) };
}

function watched<O extends CommonOptions>(
  module: ProbeModule<O>,
  watch: ((event: string, record: EventRecord) => void) | undefined,
): ProbeModule<O> {
  if (watch === undefined) return module;
  return {
    ...module,
    create: (context, options) => {
      const probe = module.create(context, options);
      const handlers = Object.entries(probe.handlers).map(([event, handler]) => [
        event,
        (record: EventRecord) => {
          watch(event, record);
          handler(record);
        },
      ]);
      return { ...probe, handlers: Object.fromEntries(handlers) };
    },
  };
}

/** Values of a family by label values, joined by spaces. For a histogram, `value` is the count. */
export function seriesOf(store: MetricStore, name: string): Map<string, { value: number; sum: number }> {
  const family = store.snapshot().families.find(({ spec }) => spec.name === name);
  assert.ok(family, name);
  const width = family.spec.labels.length;
  const series = new Map<string, { value: number; sum: number }>();
  for (let s = 0; s < family.seriesCount; s++) {
    const labels = family.labelValues.slice(s * width, (s + 1) * width).join(' ');
    const value = family.histogram?.counts[s] ?? family.values[s];
    series.set(labels, { value, sum: family.histogram?.sumsNs[s] ?? 0 });
  }
  return series;
}
