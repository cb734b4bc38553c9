/** Whose names of tasks the kernel saves while our instance saves none. Needs root and tracefs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { createInstance, type Instance } from '../../src/tracefs/instance.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';
import { tracingDirs } from '../../src/tracefs/others.ts';
import { saveNoTaskNames } from '../../src/tracefs/task-names.ts';

const EVENTS = ['sched:sched_switch'];
/** A program must be lucky to be named, because the kernel skips a name if the lock of the list is taken. */
const RUNS = 50;
const root = findTracefs({ mayMount: true });
const dir = mkdtempSync(join(tmpdir(), 'task-names-'));
after(() => rmSync(dir, { recursive: true }));
const made: Instance[] = [];
afterEach(() => {
  for (const instance of made.splice(0)) instance.remove();
});

function makeInstance(): Instance {
  const instance = createInstance(root, `ftx-task-names-${process.pid}-${made.length}`);
  made.push(instance);
  return instance;
}

function record(instance: Instance): void {
  instance.enable(EVENTS);
  instance.start();
}

const optionOf = (instance: Instance) =>
  /^(no)?record-cmd$/m.exec(readFileSync(join(instance.dir, 'trace_options'), 'utf8'))?.[0];
const isInUse = () =>
  tracingDirs(root).some((at) => readFileSync(join(at, 'events/enable'), 'utf8').trim() !== '0');

/** Runs a program of this name again and again. Returns whether the kernel saved its name. */
function isSaved(name: string): boolean {
  const program = join(dir, name);
  copyFileSync('/bin/true', program);
  for (let run = 0; run < RUNS; run++) {
    execFileSync(program);
    if (readFileSync(join(root, 'saved_cmdlines'), 'utf8').includes(` ${name}\n`)) return true;
  }
  return false;
}

test('our instance saves no names, but one that records later has them', () => {
  const ours = makeInstance();
  const wasInUse = isInUse();
  const isOff = saveNoTaskNames(ours);
  assert.equal(isOff, !wasInUse, 'another user of this machine records events');
  assert.equal(optionOf(ours), isOff ? 'norecord-cmd' : 'record-cmd');
  record(ours);
  if (isOff) assert.equal(isSaved('names-nobody'), false);
  const theirs = makeInstance();
  record(theirs);
  assert.equal(isSaved('names-theirs'), true);
  ours.remove();
  assert.equal(isSaved('names-still'), true);
});

test('our instance saves names while another records, which keeps its own', () => {
  const theirs = makeInstance();
  record(theirs);
  const ours = makeInstance();
  assert.equal(saveNoTaskNames(ours), false);
  assert.equal(optionOf(ours), 'record-cmd');
  record(ours);
  ours.remove();
  assert.equal(isSaved('names-kept'), true);
});
