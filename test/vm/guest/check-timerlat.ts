/**
 * timerlat: a cyclic timer runs on one CPU for some seconds. Counts and sums must equal those of a second instance,
 * which also gets every record. Both begin and end while the tracer has no CPU to run on, so that they see the same.
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
const PERIOD_MS = 1;
const SECONDS = 5;
const COUNT = 'ftrace_timerlat_latency_seconds_count';
const SUM = 'ftrace_timerlat_latency_seconds_sum';

function runOn(cpus: string): void {
  writeFileSync(join(TRACEFS, 'osnoise/cpus'), cpus);
}

export const checkTimerlat: TracerCheck = {
  tracer: 'timerlat',
  rest: () => runOn('\n'),
  wake: () => runOn(`${CPU}\n`),
  interrupts: /another user has changed \S+osnoise\/cpus/,
  options: `{ cpus: "${CPU}", period: ${PERIOD_MS}ms }`,
  define: (agent) => {
    it('every activation counts, once for each context, with its latency', async (t) => {
      const witness = startRecording({ tracer: 'timerlat', bufferKb: 8192 });
      let seen = activationsOf(undefined);
      let elapsedMs = 0;
      const gain = await gained(
        agent(),
        async () => {
          const startMs = performance.now();
          runOn(`${CPU}\n`);
          await sleep(SECONDS * 1000);
          runOn('\n');
          elapsedMs = performance.now() - startMs;
          const recording = witness.stop();
          try {
            seen = activationsOf(recording);
          } finally {
            recording.end();
          }
        },
        (so) => so(COUNT) >= seen.irq.count + seen.thread.count,
      );
      for (const context of ['irq', 'thread'] as const) {
        const labels = { context, cpu: String(CPU) };
        assert.equal(gain(COUNT, { context }), seen[context].count, context);
        assert.equal(gain(COUNT, labels), seen[context].count, `${context} on CPU ${CPU}`);
        assert.ok(Math.abs(gain(SUM, labels) - seen[context].seconds) < 1e-6, `${context}: sum of latencies`);
      }
      // The kernel numbers activations. The time stamps show those that it skipped because the one before had not
      // ended.
      const { last, leftOut } = seen;
      const periods = elapsedMs / PERIOD_MS;
      t.diagnostic(`${seen.irq.count} activations, ${leftOut} left out, in ${periods.toFixed(0)} periods`);
      assert.ok(seen.irq.count >= last && last >= seen.thread.count - 1, `${seen.irq.count} of ${last}`);
      // There are none until its thread runs, and after it was stopped.
      assert.ok(last + leftOut <= periods * 1.01 + 1, `${last} + ${leftOut} in ${periods} periods`);
      assert.ok(last + leftOut >= periods / 2, `${last} + ${leftOut} in ${periods} periods`);
    });
  },
};

interface Activations {
  irq: { count: number; seconds: number };
  thread: { count: number; seconds: number };
  /** Number of the last activation. */
  last: number;
  leftOut: number;
}

function activationsOf(recording: Recording | undefined): Activations {
  const activations: Activations = {
    irq: { count: 0, seconds: 0 },
    thread: { count: 0, seconds: 0 },
    last: 0,
    leftOut: 0,
  };
  let dueBefore: number | undefined;
  for (const line of recording?.text(CPU) ?? []) {
    const { body, micros } = lineOf(line);
    const parts = /^#(\d+)\s+context\s+(irq|thread)\s+timer_latency\s+(\d+) ns$/.exec(body);
    assert.ok(parts, line);
    const [, number, context, latencyNs] = parts;
    const sums = activations[context as 'irq' | 'thread'];
    sums.count++;
    sums.seconds += Number(latencyNs) / 1e9;
    activations.last = Math.max(activations.last, Number(number));
    if (context !== 'irq') continue;
    // When the timer should have fired: activations are whole periods apart.
    const due = micros / 1000 - Number(latencyNs) / 1e6;
    if (dueBefore !== undefined) activations.leftOut += Math.round((due - dueBefore) / PERIOD_MS) - 1;
    dueBefore = due;
  }
  return activations;
}
