/**
 * Another user switches off block tracing of a disk. The agent must report this, but not switch tracing on again,
 * because the top level does not belong to it. Another tracer cannot replace `blk` meanwhile.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, TRACEFS } from '../support/agent.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';

const bench = makeBench('blk-switch');
/** Far more than the agent needs to notice a change. */
const LONGEST_MS = 60_000;

const busy = await topLevelTurn();

/** Starts an agent with `blk` for a disk of its own, and waits for an answer of /readyz that begins with a status. */
async function startBlk() {
  const disk = makeLoopDisk(bench);
  const agent = await bench.start({
    state_dir: bench.directory,
    probes: { blk: { devices: [disk.name] } },
  });
  const answers = async (status: string): Promise<string> => {
    for (const end = Date.now() + LONGEST_MS; ; await sleep(50)) {
      const response = await fetch(`${agent.url}/readyz`);
      const text = `${response.status} ${await response.text()}`;
      if (text.startsWith(status)) return text;
      assert.ok(Date.now() < end, text);
    }
  };
  const upOf = async (probe: string) => (await agent.scrape()).sum('ftrace_exporter_probe_up', { probe });
  return { disk, agent, answers, upOf, file: `/sys/block/${disk.name}/trace/enable` };
}

const title =
  'a disk that somebody stops tracing turns blk off, and the agent says that it does not undo this change';
const isSaid = undisturbed(async () => {
  const { disk, agent, answers, upOf, file } = await startBlk();
  writeFileSync(file, '0');
  const reason = await answers('503');
  assert.match(
    reason,
    new RegExp(`block tracing of ${disk.name} was switched off: write 1 to ${file}; the agent`),
  );
  assert.match(reason, /does not undo this change/);
  assert.deepEqual([await upOf('blk'), await upOf('sched')], [0, 1]);
  writeFileSync(file, '1');
  await answers('200');
  assert.equal(await upOf('blk'), 1);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.equal(readFileSync(file, 'latin1').trim(), '0');
});
test(title, { skip: busy ?? false }, isSaid);

const refusal = 'while blk runs, the kernel refuses another tracer, and blk goes on';
const isRefused = undisturbed(async () => {
  const { disk, agent, answers, upOf } = await startBlk();
  // As long as the agent reads trace_pipe, the kernel answers EBUSY. If it did not, the agent would restart the capture.
  assert.throws(() => writeFileSync(join(TRACEFS, 'current_tracer'), 'nop'), { code: 'EBUSY' });
  const actions = async () =>
    (await agent.scrape()).sum('ftrace_blk_actions_total', { device: disk.name, action: 'completed' });
  const before = await actions();
  const { status } = spawnSync('dd', [`if=${disk.path}`, 'of=/dev/null', 'count=4', 'iflag=direct']);
  assert.equal(status, 0);
  for (const end = Date.now() + LONGEST_MS; (await actions()) < before + 4; await sleep(50))
    assert.ok(Date.now() < end, `${await actions()} requests`);
  await answers('200');
  assert.equal(await upOf('blk'), 1);
  assert.equal(await agent.stop(), 0, agent.stderr());
});
test(refusal, { skip: busy ?? false }, isRefused);
