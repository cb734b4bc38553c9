/**
 * Uses the top level of the running kernel for block tracing, then restores it. Every file must be as before, even if
 * the agent is killed at any moment in between. Needs root, tracefs and losetup; the disk is a file of the test.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TracerRequest } from '../../src/model/tracer.ts';
import { cleanup } from '../../src/tracefs/cleanup.ts';
import { withDiskOpen } from '../../src/tracefs/disk-access.ts';
import { readText, writeControl } from '../../src/tracefs/files.ts';
import { createInstance } from '../../src/tracefs/instance.ts';
import { openJournal } from '../../src/tracefs/journal/journal.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';
import { takeTopLevel } from '../../src/tracefs/top-level.ts';
import { startTracer } from '../../src/tracefs/tracers.ts';
import { topLevelTurn, undisturbed } from '../support/top-level.ts';
import { differences, topLevelFiles } from './top-level-files.ts';
import type { ChildTask } from './tracer-child.ts';

const root = findTracefs({ mayMount: true });
const NAME = `ftx-journal-${process.pid}`;
const CHILD = new URL(`./tracer-child.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
  .pathname;
const SIZES = { bufferBytesPerCpu: 1 << 20, subbufferBytes: 4096, clock: 'mono' };
const KILLS = Number(process.env.KILLS ?? 40);
/** The child is killed within one and a half cycles, so that kills hit both the setup and the restore. */
const LATEST = 1.5;

const busy = await topLevelTurn();

describe('the top level', { skip: busy ?? false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'ftx-journal-'));
  const stateDir = join(directory, 'state', 'below');
  let device = '';
  let disk = '';
  let untouched: Map<string, string>;
  const request = (): TracerRequest => ({
    tracer: 'blk',
    where: 'top',
    reads: 'text',
    options: {},
    knobs: [],
    blockDevices: [disk],
  });
  const leaveNothing = (note = '') => {
    assert.deepEqual(differences(untouched, topLevelFiles(root, disk)), [], note);
    assert.equal(existsSync(join(stateDir, `${NAME}.journal.json`)), false, note);
  };
  // On some kernels this file works only while the disk is open.
  const enable = () => `/sys/block/${disk}/trace/enable`;
  const switchDisk = (value: '0' | '1') => withDiskOpen(enable(), () => writeControl('/', enable(), value));
  const diskIsOn = () => withDiskOpen(enable(), () => readText(enable())) === '1\n';
  const journal = () => openJournal({ stateDir, name: NAME, root });

  before(() => {
    writeFileSync(join(directory, 'disk'), Buffer.alloc(1 << 20));
    const made = spawnSync('losetup', ['--find', '--show', join(directory, 'disk')], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    device = made.stdout.trim();
    disk = basename(device);
  });
  after(() => {
    cleanup(root, [NAME], stateDir);
    switchDisk('0');
    spawnSync('losetup', ['--detach', device]);
    rmSync(directory, { recursive: true });
  });
  /** Defines a test that fails if it leaves any file changed. */
  const leavingNothing = (name: string, body: (t: TestContext) => void | Promise<void>) =>
    it(
      name,
      undisturbed(async (t) => {
        untouched = topLevelFiles(root, disk);
        await body(t);
        leaveNothing();
      }),
    );

  leavingNothing('records block I/O of the disks that are asked for, and is as before afterwards', () => {
    // Set values that the agent must change, so that it must restore all of them.
    const settings = {
      'options/context-info': '0',
      trace_clock: 'global',
      'options/overwrite': '0',
      tracing_on: '0',
    };
    const usual = {
      'options/context-info': '1',
      trace_clock: 'local',
      'options/overwrite': '1',
      tracing_on: '1',
    };
    for (const [file, value] of Object.entries(settings)) writeControl(root, file, value);
    try {
      const set = topLevelFiles(root, disk);
      const top = takeTopLevel(root, journal(), 'blk');
      const inForce = top.prepare(SIZES);
      assert.equal(inForce.bufferBytesPerCpu >> 20, 1);
      const started = startTracer(top, { ...request(), blockDevices: ['no*such', disk] }, journal());
      assert.deepEqual(started.warnings, []);
      top.start();
      const read = spawnSync('dd', [`if=${device}`, 'of=/dev/null', 'bs=4k', 'count=7', 'iflag=direct']);
      assert.equal(read.status, 0);
      top.stop();
      const text = readFileSync(join(root, 'trace'), 'utf8');
      assert.equal([...text.matchAll(/ +C +RS? \d+ \+ 8 /g)].length, 7, text);
      assert.equal(top.metadata().clock, 'mono');
      assert.deepEqual(started.stop().problems, []);
      assert.deepEqual(top.remove(), []);
      assert.deepEqual(top.remove(), []);
      assert.deepEqual(differences(set, topLevelFiles(root, disk)), []);
    } finally {
      for (const [file, value] of Object.entries(usual)) writeControl(root, file, value);
    }
  });

  leavingNothing('is not taken from somebody who uses it, and the error says how', () => {
    const take = () => takeTopLevel(root, journal(), 'blk');
    const refused = (why: RegExp) => assert.throws(take, { errno: 'EBUSY', message: why });
    writeControl(root, 'current_tracer', 'blk');
    refused(/already runs the tracer blk/);
    writeControl(root, 'current_tracer', 'nop');
    writeControl(root, 'events/sched/sched_process_exec/enable', '1');
    refused(/records events there: sched:sched_process_exec/);
    writeControl(root, 'events/sched/sched_process_exec/enable', '0');
    const pipe = openSync(join(root, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
    refused(/reads its trace_pipe/);
    closeSync(pipe);
    writeControl(root, 'set_event_pid', '1');
    refused(/set_event_pid there: 1/);
    closeSync(openSync(join(root, 'set_event_pid'), constants.O_WRONLY | constants.O_TRUNC));
  });

  leavingNothing('a disk that somebody else traces is left alone', () => {
    switchDisk('1');
    try {
      const top = takeTopLevel(root, journal(), 'blk');
      top.prepare(SIZES);
      assert.throws(() => startTracer(top, request(), journal()), {
        errno: 'ENODEV',
        message: new RegExp(`${disk} is already on: another program`),
      });
      assert.equal(readFileSync(join(root, 'current_tracer'), 'utf8'), 'nop\n');
      assert.deepEqual(top.remove(), []);
      assert.equal(diskIsOn(), true);
    } finally {
      switchDisk('0');
    }
  });

  leavingNothing(
    'without a place for the journal nothing is changed, and the error names the tracer that needs it',
    () => {
      const place = { stateDir: '/proc/nowhere', name: NAME, root };
      const top = takeTopLevel(root, openJournal(place), 'blk');
      assert.throws(() => top.prepare(SIZES), {
        errno: 'ENOENT',
        message: /tracer blk at the top level needs it.*--state.dir/,
      });
      leaveNothing();
      top.remove();
    },
  );

  leavingNothing(
    'while somebody reads its trace_pipe nothing is put back that the tracer needs; cleanup does it later',
    () => {
      const top = takeTopLevel(root, journal(), 'blk');
      top.prepare(SIZES);
      const started = startTracer(top, request(), journal());
      top.start();
      const pipe = openSync(join(root, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        assert.match(started.stop().problems.join('\n'), /current_tracer: EBUSY/);
        const problems = top.remove().join('\n');
        assert.match(problems, /current_tracer: EBUSY/);
        assert.match(problems, /trace_clock is not restored: tracer blk could not be stopped/);
        assert.equal(readFileSync(join(root, 'tracing_on'), 'utf8'), '0\n');
        assert.equal(diskIsOn(), true);
      } finally {
        closeSync(pipe);
      }
      const { restored, problems } = cleanup(root, [NAME], stateDir);
      assert.deepEqual(problems, []);
      assert.ok(restored.includes('current_tracer') && restored.includes(`/sys/block/${disk}/trace/enable`));
    },
  );

  leavingNothing('what somebody else has changed meanwhile is left as it is, and said', () => {
    const top = takeTopLevel(root, journal(), 'blk');
    top.prepare(SIZES);
    writeControl(root, 'trace_clock', 'boot');
    const [problem, ...more] = top.remove();
    assert.match(problem, /another user has changed .*trace_clock to "boot" .*original value was "local"\)/);
    assert.deepEqual(more, []);
    writeControl(root, 'trace_clock', 'local');
  });

  leavingNothing(
    `is as before after each of ${KILLS} agents that were killed somewhere, once cleanup has run`,
    async (t) => {
      const task: ChildTask = {
        root,
        stateDir,
        name: NAME,
        request: {
          ...request(),
          knobs: [{ file: 'tracing_thresh', value: '7', optional: true }],
          cpumask: [0],
        },
      };
      let cycleMs = 0;
      let interrupted = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        const child = spawn(process.execPath, [CHILD, JSON.stringify(task)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const exited = once(child, 'exit');
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
        await lines.next();
        const startedAt = performance.now();
        if (kill === 0) {
          await lines.next();
          await lines.next();
          cycleMs = (performance.now() - startedAt) / 2;
        }
        const delayMs = Math.random() * cycleMs * LATEST;
        await sleep(delayMs);
        child.kill('SIGKILL');
        await exited;
        const note = `kill ${kill} after ${delayMs.toFixed(1)} of ${cycleMs.toFixed(1)} ms`;
        if (existsSync(join(stateDir, `${NAME}.journal.json`))) interrupted++;
        const report = cleanup(root, [NAME], stateDir);
        assert.deepEqual(report.problems, [], note);
        assert.deepEqual(report.removed, [NAME], note);
        leaveNothing(note);
      }
      t.diagnostic(`a cycle took ${cycleMs.toFixed(0)} ms; ${interrupted} of ${KILLS} left a journal`);
      assert.ok(
        interrupted > KILLS / 4,
        `only ${interrupted} were killed while they had something to put back`,
      );
    },
  );

  leavingNothing('cleanup touches nothing of an agent that lives', () => {
    const held = createInstance(root, NAME);
    const top = takeTopLevel(root, journal(), 'blk');
    try {
      top.prepare(SIZES);
      const set = topLevelFiles(root, disk);
      assert.deepEqual(cleanup(root, [NAME], stateDir), {
        removed: [],
        busy: [NAME],
        restored: [],
        removedEvents: [],
        problems: [],
      });
      assert.deepEqual(differences(set, topLevelFiles(root, disk)), []);
    } finally {
      top.remove();
      held.remove();
    }
  });
});
