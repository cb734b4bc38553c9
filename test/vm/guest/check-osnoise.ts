/**
 * osnoise: sums of run time, noise and interference must equal those of a second instance's lines. Both begin and end
 * while the tracer has no CPU to run on, so that they see the same.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lineOf } from './kernel-text.ts';
import { TRACEFS } from './lab.ts';
import { type Recording, startRecording } from './recording.ts';
import { gained, type TracerCheck } from './tracer-group.ts';

const CPU = 0;
const SECONDS = 4;
const RUNTIME = 'ftrace_osnoise_runtime_seconds_total';
const NOISE = 'ftrace_osnoise_noise_seconds_total';
const INTERFERENCE = 'ftrace_osnoise_interference_seconds';
const SOURCES = ['irq', 'softirq', 'thread', 'nmi'] as const;

function runOn(cpus: string): void {
  writeFileSync(join(TRACEFS, 'osnoise/cpus'), cpus);
}

export const checkOsnoise: TracerCheck = {
  tracer: 'osnoise',
  // 50us: under emulation every look at the clock counts as noise.
  rest: () => runOn('\n'),
  wake: () => runOn(`${CPU}\n`),
  interrupts: /another user has changed \S+osnoise\/cpus/,
  options: `{ cpus: "${CPU}", period: 100ms, runtime: 20ms, threshold: 50us }`,
  define: (agent) => {
    it("run time, noise and interference add up to the tracer's lines", async (t) => {
      const events = SOURCES.map((source) => `osnoise:${source}_noise`);
      const witness = startRecording({ tracer: 'osnoise', events, bufferKb: 8192 });
      let seen = sumsOf(undefined);
      const gain = await gained(
        agent(),
        async () => {
          runOn(`${CPU}\n`);
          await sleep(SECONDS * 1000);
          runOn('\n');
          const recording = witness.stop();
          try {
            seen = sumsOf(recording);
          } finally {
            recording.end();
          }
        },
        (so) => so(RUNTIME) >= seen.runtimeUs / 1e6 - 1e-9,
      );
      t.diagnostic(JSON.stringify(seen));
      assert.ok(seen.lines >= 5, `only ${seen.lines} lines`);
      near(gain(RUNTIME, { cpu: String(CPU) }), seen.runtimeUs / 1e6, 'run time');
      near(gain(RUNTIME), seen.runtimeUs / 1e6, 'run time on all CPUs');
      near(gain(NOISE, { cpu: String(CPU) }), seen.noiseUs / 1e6, 'noise');
      for (const source of SOURCES) {
        const { count, ns } = seen.interference[source];
        const labels = { source, cpu: String(CPU) };
        assert.equal(gain(`${INTERFERENCE}_count`, labels), count, source);
        near(gain(`${INTERFERENCE}_sum`, labels), ns / 1e9, source);
      }
      assert.ok(seen.interference.irq.count > 0);
      const max = (await agent().scrape()).sum('ftrace_osnoise_max_single_noise_seconds', {
        cpu: String(CPU),
      });
      assert.ok(max >= seen.maxUs / 1e6 - 1e-9, `${max} s is less than ${seen.maxUs} us`);
    });
  },
};

function near(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${what}: ${actual} is not ${expected}`);
}

interface Sums {
  lines: number;
  runtimeUs: number;
  noiseUs: number;
  maxUs: number;
  interference: Record<(typeof SOURCES)[number], { count: number; ns: number }>;
}

function sumsOf(recording: Recording | undefined): Sums {
  const none = () => ({ count: 0, ns: 0 });
  const interference = { irq: none(), softirq: none(), thread: none(), nmi: none() };
  const sums: Sums = { lines: 0, runtimeUs: 0, noiseUs: 0, maxUs: 0, interference };
  for (const line of recording?.text(CPU) ?? []) {
    const { body } = lineOf(line);
    const event = /^(irq|softirq|thread|nmi)_noise: .* duration (\d+) ns$/.exec(body);
    if (event !== null) {
      const sum = interference[event[1] as keyof typeof interference];
      sum.count++;
      sum.ns += Number(event[2]);
      continue;
    }
    const sample = /^\s*(\d+)\s+(\d+)\s+[\d.]+\s+(\d+)(\s+\d+){5}$/.exec(body);
    assert.ok(sample, line);
    const [, runtime, noise, max] = sample.map(Number);
    sums.lines++;
    sums.runtimeUs += runtime;
    sums.noiseUs += noise;
    sums.maxUs = Math.max(sums.maxUs, max);
  }
  return sums;
}
