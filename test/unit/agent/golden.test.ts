/**
 * Replays real recordings. The whole exposition must equal the golden file next to the recording, however many pages
 * are read at a time. `UPDATE_GOLDEN=1` writes the golden files again; look at the difference before you commit it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { openReplay } from '../../../src/agent/replay/replay.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { parseExposition } from '../../support/exposition.ts';

const log = { debug: () => undefined, info: () => undefined, warn: assert.fail, error: assert.fail };

const OF_EVENTS = ['syscalls', 'irq', 'softirq', 'block', 'sched'];

/** The recording's metrics as `/metrics` would show them. */
function exposition(file: string, pagesPerRound: number): string {
  const tracer = tracerOf(file);
  const probes = [
    ...OF_EVENTS.map((name) => ({ name, on: tracer === undefined })),
    ...(tracer === undefined ? [] : [{ name: tracer, on: true }]),
  ];
  // A recording that was made with a config is replayed with it.
  const beside = file.replace(/\.dat$/, '.yaml');
  const config = loadAgentConfig({
    file: existsSync(beside) ? beside : undefined,
    env: {},
    flags: {},
    probes,
    isRecorded: true,
  });
  const capture = openReplay(config, file, { log, pagesPerRound });
  return createRenderer({ constantLabels: { source: 'replay' } })
    .render([capture.snapshot({})], 'text')
    .toString('utf8');
}

/** The tracer in the file's name: `function` for `6.1-rt.function.dat`. Undefined if the recording has only events. */
function tracerOf(file: string): string | undefined {
  return /\d-rt\.(\w+)\.dat$/.exec(file)?.[1];
}

const pathOf = (name: string) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));

const OF_TRACERS = readdirSync(pathOf('test/fixtures/captures')).filter(
  (file) => tracerOf(file) !== undefined,
);

const CAPTURES = [
  { name: 'test/fixtures/captures/mixed.dat', lossy: false },
  { name: 'test/fixtures/captures/disk.dat', lossy: false },
  { name: 'test/fixtures/captures/lossy.dat', lossy: true },
  { name: 'captures/demo.dat', lossy: false },
  // Recordings of kernels in virtual machines: `npm run test:vm -- --save-captures`.
  { name: 'test/fixtures/captures/5.10-rt.dat', lossy: false },
  { name: 'test/fixtures/captures/6.1-rt.dat', lossy: false },
  { name: 'test/fixtures/captures/6.12-rt.dat', lossy: false },
  { name: 'test/fixtures/captures/7.3-rt.dat', lossy: false },
  ...OF_TRACERS.map((file) => ({ name: `test/fixtures/captures/${file}`, lossy: false })),
];

for (const { name, lossy } of CAPTURES) {
  describe(name, () => {
    const capture = pathOf(name);
    const golden = pathOf(
      `test/fixtures/captures/${name.split('/').at(-1)?.replace('.dat', '')}.metrics.txt`,
    );

    it('gives the golden text', () => {
      const text = exposition(capture, 4);
      if (process.env.UPDATE_GOLDEN || !existsSync(golden)) {
        assert.ok(process.env.UPDATE_GOLDEN, `${golden} is missing: UPDATE_GOLDEN=1 makes it`);
        writeFileSync(golden, text);
      }
      assert.equal(text, readFileSync(golden, 'utf8'));
    });

    for (const pagesPerRound of [1, 2, 7, 1000]) {
      it(`gives the same read by ${pagesPerRound} pages`, () => {
        assert.equal(exposition(capture, pagesPerRound), readFileSync(golden, 'utf8'));
      });
    }

    it(`${lossy ? 'has' : 'has no'} lost events, and decodes without an error`, () => {
      const samples = parseExposition(readFileSync(golden, 'utf8'));
      const sum = (metric: string) =>
        samples
          .filter((sample) => sample.name === metric)
          .reduce((total, { value }) => total + Number(value), 0);
      assert.equal(sum('ftrace_exporter_events_lost_total') > 0, lossy);
      assert.equal(sum('ftrace_exporter_decode_errors_total'), 0);
      const tracer = tracerOf(name);
      if (tracer !== undefined) {
        const up = samples.find(
          (sample) => sample.name === 'ftrace_exporter_probe_up' && sample.labels.probe === tracer,
        );
        assert.equal(Number(up?.value), 1, `${tracer} is off`);
      }
      // hwlat and osnoise write a record only now and then.
      const least = tracer === undefined ? 100 : 5;
      assert.ok(sum('ftrace_exporter_events_read_total') > least);
    });
  });
}
