/** blk: direct requests to a disk that nobody else uses, so each action and each byte is known. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { gained, type TracerCheck } from './tracer-group.ts';
import { diskIo } from './workloads.ts';

const REQUESTS = 40;
const ACTIONS = 'ftrace_blk_actions_total';

export const checkBlk: TracerCheck = {
  tracer: 'blk',
  options: '{ devices: ["vda"] }',
  define: (agent) => {
    it('every request counts as queued, issued and completed, and is timed', async (t) => {
      const stat = () => readFileSync('/sys/block/vda/stat', 'utf8').trim().split(/\s+/).map(Number);
      const then = stat();
      const gain = await gained(
        agent(),
        () => diskIo(REQUESTS),
        (so) => so(ACTIONS, { action: 'completed' }) >= 2 * REQUESTS,
      );
      const now = stat();
      assert.deepEqual([now[0] - then[0], now[4] - then[4]], [REQUESTS, REQUESTS], 'as the disk counts them');
      for (const operation of ['read', 'write']) {
        const labels = { device: 'vda', operation };
        const counts = ['queued', 'issued', 'completed'].map((action) =>
          gain(ACTIONS, { ...labels, action }),
        );
        assert.deepEqual(counts, [REQUESTS, REQUESTS, REQUESTS], operation);
        for (const timed of ['queue', 'issue']) {
          const name = `ftrace_blk_${timed}_to_complete_seconds`;
          assert.equal(gain(`${name}_count`, labels), REQUESTS, `${name} ${operation}`);
          assert.ok(gain(`${name}_sum`, labels) > 0);
        }
      }
      t.diagnostic(`${gain(ACTIONS)} actions`);
    });
  },
};
