/**
 * hwlat: with a threshold of 1 us every look under emulation has a gap, so each window gives a record. The kernel has
 * one hwlat at a time: the witness is its count of records, and the differential check of the same tracer.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { parseStats } from '../../../src/tracefs/stats.ts';
import { CPUS, skipTracer, TRACEFS, until } from './lab.ts';
import { checkTracer, instanceOf } from './tracer-agent.ts';

const NAME = 'ftrace_hwlat_latency_seconds';
const RECORDS = 6;

if (!skipTracer('hwlat')) {
  checkTracer({
    tracer: 'hwlat',
    options: () => '{ cpus: "0-1", width: 50ms, window: 200ms, threshold: 1us }',
    define: (agent) => {
      it('every record counts, its inner and its outer loop', async (t) => {
        const recorded = () =>
          CPUS.reduce((sum, cpu) => {
            const file = join(
              TRACEFS,
              'instances',
              `${instanceOf('hwlat')}-hwlat`,
              `per_cpu/cpu${cpu}/stats`,
            );
            const { readEvents, entries, overrun } = parseStats(readFileSync(file, 'utf8'), cpu);
            return sum + readEvents + entries + overrun;
          }, 0);
        // A few a second: at some moment nothing comes between three looks.
        let found: number[] = [];
        await until(async () => {
          const before = recorded();
          const samples = await agent().scrape();
          const inner = samples.sum(`${NAME}_count`, { loop: 'inner' });
          const outer = samples.sum(`${NAME}_count`, { loop: 'outer' });
          found = [before, inner, outer, recorded()];
          return before >= RECORDS && found.every((count) => count === before);
        }, 'the counts agree').catch((error: Error) => {
          throw new Error(`${error.message}: recorded, inner, outer, recorded: ${found}`);
        });
        t.diagnostic(`${found[0]} records`);
        const samples = await agent().scrape();
        assert.deepEqual(samples.values(`${NAME}_count`, 'cpu').sort(), ['0', '1']);
        assert.ok(samples.sum(`${NAME}_sum`) >= RECORDS * 1e-6, 'no latency of 1 us or more');
      });
    },
  });
}
