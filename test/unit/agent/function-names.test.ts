/** A probe that reads addresses of functions must get their names, or be off with a reason. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { type PlanInput, planEvents } from '../../../src/agent/plan/plan.ts';
import { makeSelfMetrics } from '../../../src/agent/plan/self-metrics.ts';
import { openReplay } from '../../../src/agent/replay/replay.ts';
import { DEFAULT_BUCKETS } from '../../../src/config/units/buckets.ts';
import { schemaKit } from '../../../src/config/units.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { FunctionLookup, FunctionNames } from '../../../src/model/function-names.ts';
import type { EventNeed, ProbeModule } from '../../../src/probes/probe.ts';
import { openCapture } from '../../../src/tracedat/read.ts';
import { openCaptureWriter } from '../../../src/tracedat/write.ts';
import { fakeHost } from '../probes/records.ts';

const EVENT = 'workqueue:workqueue_queue_work';
const OTHER = 'workqueue:workqueue_activate_work';
const formatOf = (event: string) => `name: ${event.split(':')[1]}
ID: ${event === EVENT ? 337 : 336}
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
\tfield:void * function;\toffset:16;\tsize:8;\tsigned:0;

print fmt: "function=%ps", REC->function
`;
const NAMES: FunctionNames = { generation: 1, nameOf: (low) => `function${low}` };

interface Seen {
  names?: FunctionNames;
}

/** A probe with these needs that asks for `functions` when it is created. */
function probeOf(needs: readonly EventNeed[], seen: Seen = {}): ProbeModule {
  return {
    name: 'work',
    help: 'Work.',
    byDefault: false,
    rate: 'low',
    schema: (kit) =>
      kit.probeSchema({ enabled: false, per_cpu: false, max_series: 500, buckets: DEFAULT_BUCKETS }, {}),
    needs: () => needs,
    create: (context) => {
      seen.names = context.functions;
      return { handlers: Object.fromEntries(context.events.map((event) => [event, () => {}])) };
    },
    metrics: [],
  };
}

function planOf(module: ProbeModule, functions?: FunctionLookup) {
  const store = new MetricStore();
  const input: PlanInput = {
    enabled: [{ module, options: module.schema(schemaKit).parse({}) }],
    metadata: {
      ...{ clock: 'mono', machine: 'x86_64', kernelRelease: '6.18', cpuCount: 1 },
      events: () => [EVENT, OTHER],
      formatText: formatOf,
    },
    host: fakeHost,
    onlineCpus: [0],
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
    ...(functions && { functions }),
  };
  return planEvents(input);
}

const READS = { event: EVENT, fields: ['function'], addresses: ['function'] };
const COUNTS = { event: OTHER, fields: ['common_pid'] };

test('the probe gets the names', () => {
  const seen: Seen = {};
  const plan = planOf(probeOf([READS], seen), () => NAMES);
  assert.deepEqual([plan.probes[0].up, plan.readsAddresses, plan.events], [true, true, [EVENT]]);
  assert.equal(seen.names?.nameOf(7, 0), 'function7');
});

test('without names it is off, with the reason', () => {
  const { probes, readsAddresses, events } = planOf(probeOf([READS]), () => ({ reason: 'they are hidden' }));
  assert.equal(probes[0].reason, `no function names for event ${EVENT}: they are hidden`);
  assert.deepEqual([probes[0].up, readsAddresses, events], [false, false, []]);
  assert.equal(planOf(probeOf([READS])).probes[0].up, false, 'a plan without a source of names has none');
});

test('if the event is optional, the rest works and a note says what is missing', () => {
  const optional = { ...READS, without: 'work is not counted by function' };
  // The probe must not ask for names here, because there are none.
  const module = probeOf([optional, COUNTS]);
  const probe = { ...module, create: () => ({ handlers: { [OTHER]: () => {} } }) };
  const [status] = planOf(probe, () => ({ reason: 'they are hidden' })).probes;
  assert.deepEqual(
    [status.up, status.notes],
    [true, [`no function names for event ${EVENT}: they are hidden: work is not counted by function`]],
  );
});

test('a probe that declares no addresses gets no names, and says what to declare', () => {
  const [status] = planOf(probeOf([{ ...READS, addresses: [] }]), () => NAMES).probes;
  assert.equal(status.up, false);
  assert.match(status.reason, /work reads function names, but none of its needs declares `addresses`/);
});

test('names are looked up once, and only for a probe that reads addresses', () => {
  let lookups = 0;
  const lookup = () => {
    lookups++;
    return NAMES;
  };
  const module = probeOf([COUNTS]);
  planOf({ ...module, create: () => ({ handlers: { [OTHER]: () => {} } }) }, lookup);
  assert.equal(lookups, 0);
  planOf(probeOf([READS, { ...READS, event: OTHER }]), lookup);
  assert.equal(lookups, 1);
});

const RECORDING = new URL('../../fixtures/captures/6.1-rt.function.dat', import.meta.url).pathname;

async function replayed(file: string) {
  const quiet = () => undefined;
  const config = loadAgentConfig({ env: {}, probes: [{ name: 'function', on: true }], isRecorded: true });
  const capture = openReplay(config, file, { log: { debug: quiet, info: quiet, warn: quiet, error: quiet } });
  return (await capture.status()).probes.find(({ name }) => name === 'function');
}

test('a recording without symbols turns the probe off in replay', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ftx-names-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const stripped = join(directory, 'stripped.dat');
  copyWithoutSymbols(RECORDING, stripped);
  assert.equal((await replayed(RECORDING))?.up, true);
  assert.equal(
    (await replayed(stripped))?.reason,
    'no function names for event ftrace:function: the file has no symbols',
  );
});

function copyWithoutSymbols(from: string, to: string): void {
  const capture = openCapture(from);
  const { metadata } = capture;
  const writer = openCaptureWriter(to, { metadata, events: [], ftraceFormats: ['function'] });
  const page = new Uint8Array(metadata.layout.pageSize);
  for (const cpu of capture.source.cpus())
    for (
      let length = capture.source.readPage(cpu, page);
      length > 0;
      length = capture.source.readPage(cpu, page)
    )
      writer.addPage(cpu, page.subarray(0, length));
  writer.finish({ stats: [...capture.stats] });
  capture.close();
}
