/**
 * hwlat: under emulation nearly every look finds a gap, so most windows give a record. The kernel runs one hwlat at a
 * time, so the witness is the tracer's own count of records, together with the differential check.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { parseStats } from '../../../src/tracefs/stats.ts';
import { CPUS, until } from './lab.ts';
import { agentInstance, type TracerCheck } from './tracer-group.ts';

const NAME = 'ftrace_hwlat_latency_seconds';
const RECORDS = 4;

function recording(on: '0' | '1'): void {
  writeFileSync(join(agentInstance('hwlat'), 'tracing_on'), on);
}

export const checkHwlat: TracerCheck = {
  tracer: 'hwlat',
  // 50us, as for osnoise, because they share one threshold.
  options: '{ cpus: "0-1", width: 50ms, window: 200ms, threshold: 50us }',
  rest: () => recording('0'),
  interrupts: /recording was switched off: write 1 to \S+-hwlat\/tracing_on/,
  define: (agent) => {
    it('every record counts, its inner and its outer loop', async (t) => {
      const dir = agentInstance('hwlat');
      recording('1');
      const counted = () =>
        CPUS.map((cpu) => parseStats(readFileSync(join(dir, `per_cpu/cpu${cpu}/stats`), 'utf8'), cpu));
      const sumOf = (field: 'readEvents' | 'entries') =>
        counted().reduce((sum, stats) => sum + stats[field], 0);
      await until(() => counted().every(({ readEvents }) => readEvents >= RECORDS), 'records on every CPU');
      // Records keep coming, so they are compared while recording is off.
      recording('0');
      await until(() => sumOf('entries') === 0, 'all is read');
      const records = sumOf('readEvents');
      const totals = async () => {
        const samples = await agent().scrape();
        return ['inner', 'outer'].map((loop) => samples.sum(`${NAME}_count`, { loop }));
      };
      await until(async () => (await totals()).every((count) => count >= records), 'all is counted');
      assert.deepEqual(await totals(), [records, records]);
      t.diagnostic(`${records} records`);
      const samples = await agent().scrape();
      assert.deepEqual(samples.values(`${NAME}_count`, 'cpu').sort(), ['0', '1']);
      assert.ok(samples.sum(`${NAME}_sum`) >= RECORDS * 50e-6, 'no latency of 50 us or more');
    });
  },
};
