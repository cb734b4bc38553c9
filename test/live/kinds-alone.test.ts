/** With every probe off and kinds of traces on, the agent makes traces, but exports no metrics of probes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, needTool } from '../support/agent.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';

const bench = makeBench('kinds');
const OFF = Object.fromEntries(
  ['sched', 'block', 'irq', 'softirq'].map((name) => [name, { enabled: false }]),
);
const SYNCS = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for i in range(10):
    os.pwrite(fd, bytes([i]) * 4096, (1 + i) * 65536)
    os.fsync(fd)
`;

test('kinds of traces work without any probe, and count nothing', async () => {
  needTool('python3', 'python3');
  const disk = makeLoopDisk(bench);
  // The agent keeps only 50 traces of each kind, so leave out those of other programs.
  const ours = { processes: ['python3*'] };
  const agent = await bench.start({
    probes: OFF,
    spans: {
      max_traces_per_second: 1000,
      kinds: {
        syscalls: { threshold: '1us', include: ['fsync'], ...ours },
        block: { threshold: '1us', ...ours },
      },
    },
  });
  let [sync, write] = [false, false];
  for (const deadline = performance.now() + 30_000; !(sync && write); await sleep(100)) {
    assert.ok(performance.now() < deadline, `a trace of an fsync: ${sync}, of a write: ${write}`);
    execFileSync('python3', ['-c', SYNCS, disk.path]);
    const slow = await (await fetch(`${agent.url}/api/v1/slow?limit=100`)).json();
    const all = (slow as { last: { name: string; attributes: Record<string, unknown> }[] }).last;
    const isOurs = ({ attributes }: (typeof all)[number]) => attributes['system.device'] === disk.name;
    sync ||= all.some(({ name }) => name === 'syscall fsync');
    write ||= all.some((root) => root.name === 'block write' && isOurs(root));
  }
  const { text } = await agent.scrape();
  assert.deepEqual(text.match(/^ftrace_(?!exporter_)\S+/gm) ?? [], []);
  assert.equal((await fetch(`${agent.url}/readyz`)).status, 200);
  assert.equal((await fetch(`${agent.url}/`)).status, 200);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
