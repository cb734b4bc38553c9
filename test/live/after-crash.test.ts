/**
 * An agent was killed while it prepared the top level for `blk`. Another agent must not take the top level then, and
 * nothing may be restored while somebody uses the top level. An agent starts although it cannot write to the directory
 * with its journal.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ProbeStatus } from '../../src/model/status.ts';
import { cleanup } from '../../src/tracefs/cleanup.ts';
import { writeControl } from '../../src/tracefs/files.ts';
import { bootId } from '../../src/tracefs/journal/state.ts';
import { type Agent, makeBench, readTrimmed, TRACEFS } from '../support/agent.ts';
import { makeLoopDisk } from '../support/loop-disk.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';
import { differences, topLevelFiles } from './top-level-files.ts';

const bench = makeBench('crash');
const busy = await topLevelTurn();
const skip = busy ?? false;
const source = (path: string) => new URL(`../../src/tracefs/${path}`, import.meta.url).href;

/** Prepares the top level as an agent does, and is killed before it sets the tracer. Returns the agent's name. */
function killWhilePreparing(stateDir: string): string {
  const name = bench.instanceName('killed');
  const script = `
    const { openJournal } = await import('${source('journal/journal.ts')}');
    const { takeTopLevel } = await import('${source('top-level.ts')}');
    const root = ${JSON.stringify(TRACEFS)};
    const place = ${JSON.stringify({ stateDir, name, root: TRACEFS })};
    const top = takeTopLevel(root, openJournal(place), 'blk');
    top.prepare({ bufferBytesPerCpu: 1 << 20, subbufferBytes: 4096, clock: 'mono' });
    process.kill(process.pid, 'SIGKILL');`;
  const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.equal(signal, 'SIGKILL', stderr);
  // For a test that fails: after the agents of this file have ended, this restores the top level.
  bench.atEnd(() => void cleanup(TRACEFS, [name], stateDir));
  const entries = JSON.parse(readFileSync(join(stateDir, `${name}.journal.json`), 'utf8')).entries;
  const files = entries.map(({ file }: { file: string }) => file);
  assert.ok(files.includes('trace_clock') && !files.includes('current_tracer'), files.join());
  return name;
}

async function probeOf(agent: Agent, name: string): Promise<ProbeStatus> {
  const status = (await (await fetch(`${agent.url}/api/v1/status`)).json()) as {
    capture: { probes: ProbeStatus[] };
  };
  const probe = status.capture.probes.find((one) => one.name === name);
  assert.ok(probe, name);
  return probe;
}

function stateDirOf(purpose: string): string {
  const dir = join(bench.directory, purpose);
  mkdirSync(dir, { mode: 0o700 });
  return dir;
}

test(
  'after a kill while blk was prepared, another agent does not take the top level',
  { skip },
  undisturbed(async () => {
    const disk = makeLoopDisk(bench);
    const untouched = topLevelFiles(TRACEFS, disk.name);
    const stateDir = stateDirOf('second');
    const killed = killWhilePreparing(stateDir);
    try {
      const filesLeft = topLevelFiles(TRACEFS, disk.name);
      assert.ok(differences(untouched, filesLeft).length > 0);
      const agent = await bench.start({ state_dir: stateDir, probes: { blk: { devices: [disk.name] } } });
      const { up, reason } = await probeOf(agent, 'blk');
      assert.equal(up, false);
      assert.match(
        reason,
        new RegExp(`agent ${killed} has changed .* there: .*cleanup --instance ${killed}`),
      );
      assert.equal((await probeOf(agent, 'sched')).up, true);
      assert.equal(await agent.stop(), 0, agent.stderr());
      assert.deepEqual(differences(filesLeft, topLevelFiles(TRACEFS, disk.name)), []);
    } finally {
      assert.deepEqual(cleanup(TRACEFS, [killed], stateDir).problems, []);
    }
    assert.deepEqual(differences(untouched, topLevelFiles(TRACEFS, disk.name)), []);
  }),
);

for (const [what, use] of [
  [
    'reads its trace_pipe',
    () => {
      const pipe = openSync(join(TRACEFS, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
      return () => closeSync(pipe);
    },
  ],
  [
    'records events there: sched:sched_process_exec',
    () => {
      const file = 'events/sched/sched_process_exec/enable';
      writeControl(TRACEFS, file, '1');
      return () => writeControl(TRACEFS, file, '0');
    },
  ],
] as const)
  test(
    `after a crash, nothing is restored while another user ${what.split(':')[0]}`,
    { skip },
    undisturbed(() => {
      const untouched = topLevelFiles(TRACEFS);
      const stateDir = stateDirOf(`use ${what.split(' ')[0]}`);
      const killed = killWhilePreparing(stateDir);
      try {
        const endUse = use();
        try {
          const filesLeft = topLevelFiles(TRACEFS);
          const { restored, problems } = cleanup(TRACEFS, [killed], stateDir);
          assert.deepEqual(restored, []);
          assert.ok(problems.some((problem) => problem.startsWith('trace_clock is not restored while')));
          for (const problem of problems) assert.ok(problem.includes(what), problem);
          assert.deepEqual(differences(filesLeft, topLevelFiles(TRACEFS)), []);
        } finally {
          endUse();
        }
      } finally {
        assert.deepEqual(cleanup(TRACEFS, [killed], stateDir).problems, []);
      }
      assert.deepEqual(differences(untouched, topLevelFiles(TRACEFS)), []);
    }),
  );

test('an agent that needs no journal starts with a read-only directory that holds one', async () => {
  const stateDir = stateDirOf('read-only');
  const instance = bench.instanceName('readonly');
  const file = join(stateDir, `${instance}.journal.json`);
  // The value in the journal is the present value, so nothing on the machine changes.
  const present = readTrimmed(TRACEFS, 'tracing_thresh');
  const entry = { file: 'tracing_thresh', before: `${present}\n`, left: present, owners: ['hwlat'] };
  const text = JSON.stringify({ version: 1, boot: bootId(), entries: [entry] });
  writeFileSync(file, text, { mode: 0o600 });
  const mount = `mount --bind ${stateDir} ${stateDir} && mount -o remount,bind,ro ${stateDir}`;
  const wrapper = ['unshare', '--mount', 'sh', '-c', `${mount} && exec "$0" "$@"`];
  const agent = await bench.start({ state_dir: stateDir }, { wrapper, instance });
  assert.equal((await probeOf(agent, 'sched')).up, true);
  assert.match(agent.stderr(), /level=warn .*the journal itself remains: .*EROFS/);
  assert.equal(await agent.stop(), 0, agent.stderr());
  assert.ok(existsSync(file));
});
