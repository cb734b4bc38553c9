/**
 * Signals that end an agent. Signals within a moment are one request. A second signal after that makes the agent
 * restore the top level and exit immediately.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBench, TRACEFS } from '../support/agent.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';
import { differences, topLevelFiles } from './top-level-files.ts';

const busy = await topLevelTurn();
const bench = makeBench('signals');
const disk = makeLoopDisk(bench).name;
const state_dir = `${bench.directory}/state`;
// Accepts connections and never answers, so that the last push waits for it.
const hung = createServer(() => {});
hung.listen(0, '127.0.0.1');
await once(hung, 'listening');
after(() => hung.close());

const config = () => ({
  state_dir,
  probes: { blk: { enabled: true, devices: [disk] } },
  otlp: { endpoint: `http://127.0.0.1:${(hung.address() as { port: number }).port}` },
});

const repeated = undisturbed(async () => {
  const before = topLevelFiles(TRACEFS, disk);
  const agent = await bench.start(config());
  assert.notDeepEqual(differences(before, topLevelFiles(TRACEFS, disk)), [], 'blk is on');
  agent.child.kill('SIGTERM');
  await sleep(60);
  agent.child.kill('SIGTERM');
  agent.child.kill('SIGINT');
  assert.equal(await agent.ended, 0, agent.stderr());
  assert.deepEqual(differences(before, topLevelFiles(TRACEFS, disk)), []);
  assert.ok(!existsSync(agent.dir));
  assert.deepEqual(readdirSync(state_dir), []);
});
test('two signals within 100 ms are one, and all is put back', { skip: busy ?? false }, repeated);

const atOnce = undisturbed(async () => {
  const before = topLevelFiles(TRACEFS, disk);
  const agent = await bench.start(config());
  agent.child.kill('SIGTERM');
  await sleep(2200);
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended, 1, agent.stderr());
  assert.match(agent.stderr(), /second signal received: .*\n$/, 'the last line, and no error behind it');
  assert.deepEqual(differences(before, topLevelFiles(TRACEFS, disk)), []);
  assert.ok(!existsSync(agent.dir));
  assert.deepEqual(readdirSync(state_dir), []);
});
test('a second signal ends it at once, with the top level put back first', { skip: busy ?? false }, atOnce);
