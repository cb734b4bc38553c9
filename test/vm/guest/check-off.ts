/**
 * irqsoff, preemptoff, preemptirqsoff: a module of the kernel's source (kernel/trace/preemptirq_delay_test.c) keeps
 * interrupts or preemption off for a known time. The agent must report that time with the trace of the module's
 * task, and its records must contain the kernel's own maximum and text.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { type RunningAgent, SHARE, until } from './lab.ts';
import { agentInstance, type TracerCheck } from './tracer-group.ts';

const MAX = 'ftrace_latency_tracer_max_seconds';
const RECORDS = 'ftrace_latency_tracer_records_total';
/** An emulated CPU that the host leaves waiting has latencies of its own: long, but not as long. */
const DELAY_US = 700_000;
/** In the order of the modes: each is off for the tracers that list it. */
const MODES: Readonly<Record<string, readonly string[]>> = {
  irqsoff: ['irq'],
  preemptoff: ['preempt'],
  preemptirqsoff: ['irq', 'preempt'],
};

interface LatencyRecord {
  latency_seconds: number;
  trace: string;
}

export function checkOff(tracer: string): TracerCheck {
  return {
    tracer,
    options: '{}',
    define: (agent) => {
      for (const mode of MODES[tracer])
        it(`a module that keeps ${mode === 'irq' ? 'interrupts' : 'preemption'} off is reported with its time`, async (t) => {
          let record: LatencyRecord | undefined;
          // A longer latency of the same window hides it; then the next window shows it.
          await until(async () => {
            keepOff(mode);
            const isOfModule = ({ trace }: LatencyRecord) => trace.includes(`| task: ${mode}_test-`);
            record = (await recordsOf(agent(), tracer)).find(isOfModule);
            return record !== undefined;
          }, `${tracer} has a record of the module`);
          assert.ok(record);
          t.diagnostic(`${record.latency_seconds} s of at least ${DELAY_US / 1e6} s`);
          assert.ok(record.latency_seconds >= DELAY_US / 1e6, record.trace.slice(0, 1000));
        });

      it("the kernel's maximum is a record, and its text the trace of one", async (t) => {
        const dir = agentInstance(tracer);
        const read = (file: string) => readFileSync(join(dir, file), 'utf8');
        const usOf = ({ latency_seconds }: LatencyRecord) => Math.round(latency_seconds * 1e6);
        let max = 0;
        let records: LatencyRecord[] = [];
        // The next maximum may come between the reads; then they are repeated.
        await until(async () => {
          const kernelUs = Number(read('tracing_max_latency'));
          const text = read('trace');
          max = (await agent().scrape()).sum(MAX, { tracer });
          records = await recordsOf(agent(), tracer);
          return (
            kernelUs > 0 &&
            Number(read('tracing_max_latency')) === kernelUs &&
            records.some((record) => usOf(record) === kernelUs) &&
            records.some(({ trace }) => trace === text) &&
            max === records[0].latency_seconds
          );
        }, "the agent's records contain the kernel's");
        const traced = records.filter(({ trace }) => trace !== '');
        for (const record of traced) {
          assert.match(record.trace, new RegExp(`^# tracer: ${tracer}$`, 'm'));
          const latencyUs = /^# latency: (\d+) us,/m.exec(record.trace)?.[1];
          assert.equal(Number(latencyUs), usOf(record), record.trace.slice(0, 500));
        }
        assert.ok((await agent().scrape()).sum(RECORDS, { tracer }) >= records.length);
        t.diagnostic(`worst ${max} s, ${records.length} records, ${traced.length} with a trace`);
      });
    },
  };
}

/** Worst first. */
async function recordsOf(agent: RunningAgent, tracer: string): Promise<LatencyRecord[]> {
  const { status, body } = await agent.get(`/api/v1/latency/${tracer}`);
  assert.equal(status, 200, body);
  return (JSON.parse(body) as { records: LatencyRecord[] }).records;
}

/** The module does it once when it is inserted. */
function keepOff(mode: string): void {
  const module = join(SHARE, 'preemptirq_delay_test.ko');
  execFileSync('busybox', ['insmod', module, `test_mode=${mode}`, `delay=${DELAY_US}`, 'cpu_affinity=1']);
  execFileSync('busybox', ['rmmod', 'preemptirq_delay_test']);
}
