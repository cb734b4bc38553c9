/** What the agent leaves in tracefs: nothing after SIGTERM; after SIGKILL a stopped instance of the smallest size. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { controlFiles, differences } from './control-files.ts';
import { cli, endWell, type RunningAgent, startAgent, TRACEFS } from './lab.ts';

const NAME = 'lab-left';
const CONFIG = `
instance: ${NAME}
probes:
  syscalls: {}
  events: { count: ["sched:sched_process_*"] }
`;
const INSTANCE = join(TRACEFS, 'instances', NAME);

/**
 * KiB per CPU of the top level's buffer. Up to 6.1 `7 (expanded: 1408)` becomes `7` as soon as any instance is given a
 * size, because the kernel has one flag for all.
 */
function sizeInForce(): number {
  return Number.parseInt(readFileSync(join(TRACEFS, 'buffer_size_kb'), 'utf8'), 10);
}

describe('in tracefs', () => {
  let files: Map<string, string>;
  let topSizeKb: number;
  let agent: RunningAgent;
  before(async () => {
    files = controlFiles({ ofEvents: true });
    topSizeKb = sizeInForce();
    agent = await startAgent(CONFIG);
  });
  after(() => void agent?.child.kill('SIGKILL'));

  it('an agent that runs changes no file outside of its instance', () => {
    const before = files.get(join(TRACEFS, 'instances'));
    assert.ok(files.size > 1000, `only ${files.size} files`);
    assert.ok(existsSync(INSTANCE));
    assert.deepEqual(differences(files, controlFiles({ ofEvents: true })), [
      `${join(TRACEFS, 'instances')}: ${before} became ${[before, NAME].filter(Boolean).sort().join(' ')}`,
    ]);
  });

  it("it does not make the top level's buffer grow", () => {
    assert.equal(sizeInForce(), topSizeKb);
  });

  it('one that SIGTERM ends leaves nothing', async () => {
    await endWell(agent);
    assert.equal(existsSync(INSTANCE), false);
    assert.deepEqual(differences(files, controlFiles({ ofEvents: true })), []);
  });

  it('one that is killed has stopped recording and given back its memory; cleanup does the rest', async () => {
    agent = await startAgent(CONFIG);
    const sizeKb = () =>
      Number.parseInt(readFileSync(join(INSTANCE, 'per_cpu/cpu0/buffer_size_kb'), 'utf8'), 10);
    assert.ok(sizeKb() >= 512);
    const subbufferFile = join(INSTANCE, 'buffer_subbuf_size_kb');
    const subbufferKb = existsSync(subbufferFile)
      ? Number.parseInt(readFileSync(subbufferFile, 'utf8'), 10)
      : 4;
    agent.child.kill('SIGKILL');
    assert.equal(await agent.ended, 'SIGKILL');
    assert.equal(readFileSync(join(INSTANCE, 'tracing_on'), 'utf8'), '0\n');
    // The kernel keeps at least two sub-buffers.
    assert.ok(sizeKb() <= 2 * subbufferKb, `${sizeKb()} KiB are left`);
    // There is nothing under its usual name: cleanup must not touch another agent's instance.
    assert.match(cli(['cleanup']).stdout, /^nothing to clean up/);
    assert.ok(existsSync(INSTANCE));
    assert.equal(
      cli(['cleanup'], { FTRACE_EXPORTER_INSTANCE: NAME }).stdout,
      `removed the instance ${NAME}\n`,
    );
    assert.equal(existsSync(INSTANCE), false);
    assert.deepEqual(differences(files, controlFiles({ ofEvents: true })), []);
  });
});
