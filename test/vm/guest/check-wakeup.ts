/**
 * wakeup, wakeup_rt, wakeup_dl: tasks of that kind sleep briefly and are woken. The agent must report the longest wait,
 * with the kernel's own trace of it. (The group of tracers checks that no function is traced for it.)
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { until } from './lab.ts';
import type { TracerCheck } from './tracer-group.ts';
import { naps, SCHEDULERS } from './workloads.ts';

const MAX = 'ftrace_latency_tracer_max_seconds';
const RECORDS = 'ftrace_latency_tracer_records_total';

export function checkWakeup(tracer: string): TracerCheck {
  return {
    tracer,
    options: '{}',
    define: (agent) => {
      it('the longest wait is a metric, and its trace can be seen', async (t) => {
        await until(async () => {
          naps(50, SCHEDULERS[tracer]);
          return (await agent().scrape()).sum(RECORDS, { tracer }) > 0;
        }, `${tracer} has a record`);
        // The next maximum may come between the two reads; then the check is repeated.
        let reading = { max: 0, records: 0, worst: 0, trace: '' };
        await until(async () => {
          const samples = await agent().scrape();
          const { status, body } = await agent().get(`/api/v1/latency/${tracer}`);
          assert.equal(status, 200, body);
          const document = JSON.parse(body) as {
            tracer: string;
            records: { latency_seconds: number; at: string; trace: string }[];
          };
          assert.equal(document.tracer, tracer);
          const [worst] = document.records;
          reading = {
            max: samples.sum(MAX, { tracer }),
            records: samples.sum(RECORDS, { tracer }),
            worst: worst.latency_seconds,
            trace: worst.trace,
          };
          return reading.max === reading.worst;
        }, 'both tell the same worst');
        t.diagnostic(`${reading.records} records, the worst ${reading.max} s`);
        assert.ok(reading.max > 0 && reading.max < 60, `${reading.max}`);
        assert.match(reading.trace, new RegExp(`^# tracer: ${tracer}$`, 'm'));
        const latencyUs = /^# latency: (\d+) us,/m.exec(reading.trace)?.[1];
        assert.equal(Number(latencyUs), Math.round(reading.worst * 1e6), reading.trace.slice(0, 500));
      });

      it('another tracer has no page', async () => {
        assert.equal((await agent().get('/api/v1/latency/function')).status, 404);
      });
    },
  };
}
