/** Checks on the host after a boot: it replays the recordings made in the guest, and the results must be the same. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '../../src/model/errors.ts';
import { openCapture } from '../../src/tracedat/read.ts';
import { type Samples, samplesOf } from '../support/samples.ts';
import { type RecordingCounts, type Report, replayCounts, traceCmdReport } from '../support/trace-cmd.ts';
import type { CheckResult } from './guest/reporter.ts';

const BIN = fileURLToPath(new URL('../../bin/ftrace-exporter.js', import.meta.url));

/** `share` contains the guest's recordings: `captures` by our `record`, `trace-cmd` by trace-cmd. */
export async function checkCaptures(share: string): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const name of namesIn(join(share, 'captures')))
    results.push(...(await checkOurs(join(share, 'captures'), name)));
  for (const name of namesIn(join(share, 'trace-cmd')))
    results.push(await checkTheirs(join(share, 'trace-cmd'), name));
  return results;
}

function namesIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .sort()
    .flatMap((file) => /^(.*)\.dat$/.exec(file)?.[1] ?? []);
}

/** `dir` contains NAME.dat, NAME.yaml and the guest's own replay NAME.txt. */
async function checkOurs(dir: string, name: string): Promise<CheckResult[]> {
  const file = join(dir, `${name}.dat`);
  const metrics = readFileSync(join(dir, `${name}.txt`), 'utf8');
  return [
    await check(`capture ${name}: its replay on the host equals that in the guest`, () => {
      const args = ['replay', file, '--config.file', join(dir, `${name}.yaml`)];
      const text = execFileSync(process.execPath, [BIN, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
      assert.equal(text, metrics);
      return undefined;
    }),
    await check(`capture ${name}: trace-cmd reads it without a complaint, and as many events`, () => {
      if (!hasTraceCmd()) return 'skip';
      const capture = openCapture(file);
      capture.close();
      assert.deepEqual(capture.problems, []);
      const read = capture.stats.reduce((sum, { readEvents }) => sum + readEvents, 0);
      const report = traceCmdReport(file);
      assert.equal(report.stderr, '');
      assert.equal(report.lines.length, read);
      COMPARED[name]?.(report, samplesOf(metrics));
      return undefined;
    }),
  ];
}

/** By tracer: what its metrics must add up to in trace-cmd's report of the same recording. */
const COMPARED: Readonly<Record<string, (report: Report, samples: Samples) => void>> = {
  timerlat: (report, samples) => {
    const lines = report.lines.filter(({ event }) => event === 'timerlat');
    assert.ok(lines.length > 0);
    for (const [number, context] of ['irq', 'thread'].entries()) {
      const ofContext = lines.filter(({ fields }) => numberIn(fields, 'context') === number);
      const ns = ofContext.reduce((sum, { fields }) => sum + numberIn(fields, 'timer_latency'), 0);
      const name = 'ftrace_timerlat_latency_seconds';
      assert.equal(samples.sum(`${name}_count`, { context }), ofContext.length, context);
      near(samples.sum(`${name}_sum`, { context }), ns / 1e9, context);
    }
  },
  osnoise: (report, samples) => {
    const lines = report.lines.filter(({ event }) => event === 'osnoise');
    assert.ok(lines.length > 0);
    const sumOf = (field: string) => lines.reduce((sum, { fields }) => sum + numberIn(fields, field), 0);
    near(samples.sum('ftrace_osnoise_runtime_seconds_total'), sumOf('runtime') / 1e6, 'run time');
    near(samples.sum('ftrace_osnoise_noise_seconds_total'), sumOf('noise') / 1e6, 'noise');
    for (const source of ['irq', 'softirq', 'thread', 'nmi']) {
      const noise = report.lines.filter(({ event }) => event === `${source}_noise`);
      const name = 'ftrace_osnoise_interference_seconds';
      // A replay's own label `source` replaces the metric's label.
      const labels = { exported_source: source };
      assert.equal(samples.sum(`${name}_count`, labels), noise.length, source);
      const ns = noise.reduce((sum, { fields }) => sum + numberIn(fields, 'duration'), 0);
      near(samples.sum(`${name}_sum`, labels), ns / 1e9, source);
    }
  },
  hwlat: (report, samples) => {
    const lines = report.lines.filter(({ event }) => event === 'hwlat');
    const name = 'ftrace_hwlat_latency_seconds';
    for (const [loop, field] of [
      ['inner', 'duration'],
      ['outer', 'outer_duration'],
    ]) {
      const us = lines.reduce((sum, { fields }) => sum + numberIn(fields, field), 0);
      assert.equal(samples.sum(`${name}_count`, { loop }), lines.length, loop);
      near(samples.sum(`${name}_sum`, { loop }), us / 1e6, loop);
    }
  },
  function: (report, samples) => {
    for (const cpu of [0, 1]) {
      const calls = report.lines.filter((line) => line.event === 'function' && line.cpu === cpu).length;
      assert.equal(samples.sum('ftrace_function_calls_total', { cpu: String(cpu) }), calls);
    }
  },
  function_graph: (report, samples) => {
    const exits = report.lines.filter(({ event }) => event === 'funcgraph_exit');
    assert.ok(exits.length > 0);
    const ns = exits.reduce(
      (sum, { fields }) => sum + hexIn(fields, 'rettime') - hexIn(fields, 'calltime'),
      0,
    );
    assert.equal(samples.sum('ftrace_function_duration_seconds_count'), exits.length);
    near(samples.sum('ftrace_function_duration_seconds_sum'), ns / 1e9, 'durations');
  },
};

function numberIn(fields: string, name: string): number {
  const digits = new RegExp(`(?:^|\\s)${name}=(0x[0-9a-f]+|-?\\d+)`).exec(fields)?.[1];
  assert.ok(digits !== undefined, `no ${name} in: ${fields}`);
  return Number(digits);
}

/** The event's print fmt writes these as `%llx`. */
function hexIn(fields: string, name: string): number {
  const digits = new RegExp(`(?:^|\\s)${name}=(?:0x)?([0-9a-f]+)(?:\\s|$)`).exec(fields)?.[1];
  assert.ok(digits !== undefined, `no ${name} in: ${fields}`);
  return Number.parseInt(digits, 16);
}

function near(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= 1e-9 * (1 + expected), `${what}: ${actual} is not ${expected}`);
}

/** NAME.dat was recorded by trace-cmd; NAME.json is what the guest replayed from it. */
function checkTheirs(dir: string, name: string): Promise<CheckResult> {
  return check(`trace-cmd's ${name}: replay counts as its report, here and in the guest`, async () => {
    if (!hasTraceCmd()) return 'skip';
    const file = join(dir, `${name}.dat`);
    const inGuest = JSON.parse(readFileSync(join(dir, `${name}.json`), 'utf8')) as RecordingCounts;
    const here = await replayCounts(file);
    const report = traceCmdReport(file);
    const { counts } = report;
    // The start of a call has no metric; its end has all of them.
    for (const key of Object.keys(counts)) if (key.endsWith(' funcgraph_entry')) delete counts[key];
    assert.deepEqual(here, inGuest);
    assert.deepEqual(sorted(here.counts), sorted(counts));
    if (report.uncounted === 0) assert.equal(here.lost, report.lost);
    else assert.ok(here.lost > report.lost, `${here.lost} lost, ${report.lost} to trace-cmd`);
    return undefined;
  });
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
}

function hasTraceCmd(): boolean {
  return spawnSync('trace-cmd', ['--version'], { stdio: 'ignore' }).error === undefined;
}

async function check(
  name: string,
  body: () => 'skip' | undefined | Promise<'skip' | undefined>,
): Promise<CheckResult> {
  const start = performance.now();
  const done = (rest: Partial<CheckResult>): CheckResult => ({
    name,
    ok: true,
    detail: '',
    tookMs: performance.now() - start,
    ...rest,
  });
  try {
    return (await body()) === 'skip' ? done({ skipped: true }) : done({});
  } catch (error) {
    return done({ ok: false, detail: reasonOf(error) });
  }
}
