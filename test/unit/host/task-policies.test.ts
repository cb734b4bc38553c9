import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTaskPolicies } from '../../../src/host/task-policies.ts';
import { BATCH, IDLE, NORMAL } from '../../../src/model/task-classes.ts';

const proc = mkdtempSync(join(tmpdir(), 'proc-'));
after(() => rmSync(proc, { recursive: true }));

/** SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE. */
const NORMAL_POLICY = 0;
const BATCH_POLICY = 3;
const IDLE_POLICY = 5;

/** Writes the file `stat` of a task whose name contains a `)`, like the end of a name. */
function setPolicy(pid: number, policy: number): void {
  const fields = Array.from({ length: 50 }, (_, i) => (i === 38 ? policy : 7));
  mkdirSync(join(proc, String(pid)), { recursive: true });
  writeFileSync(join(proc, String(pid), 'stat'), `${pid} (a) b) S ${fields.slice(1).join(' ')}\n`);
}

function policies() {
  const made = makeTaskPolicies(proc);
  made.procIsHosts(true);
  return made;
}

test('policies come from field 41, once they were asked for', () => {
  const classes = policies();
  setPolicy(10, NORMAL_POLICY);
  setPolicy(11, BATCH_POLICY);
  setPolicy(12, IDLE_POLICY);
  for (const pid of [10, 11, 12, 999]) classes.ask(pid);
  assert.equal(classes.of(12), NORMAL);
  classes.refresh();
  assert.deepEqual(
    [10, 11, 12, 999].map((pid) => classes.of(pid)),
    [NORMAL, BATCH, IDLE, NORMAL],
  );
});

test('a change is noticed when a task is asked for again some seconds later', () => {
  const classes = policies();
  setPolicy(20, IDLE_POLICY);
  classes.ask(20);
  classes.refresh();
  setPolicy(20, NORMAL_POLICY);
  let seconds = 0;
  for (; classes.of(20) === IDLE && seconds < 60; seconds++) {
    classes.ask(20);
    classes.refresh();
  }
  assert.ok(seconds >= 5 && seconds <= 11, `${seconds} s`);
});

test('at most 64 tasks are looked up in a second', () => {
  const classes = policies();
  const pids = Array.from({ length: 100 }, (_, i) => 100 + i);
  for (const pid of pids) setPolicy(pid, IDLE_POLICY);
  const idle = () => pids.filter((pid) => classes.of(pid) === IDLE).length;
  for (const pid of pids) classes.ask(pid);
  classes.refresh();
  assert.equal(idle(), 64);
  for (const pid of pids) classes.ask(pid);
  classes.refresh();
  assert.equal(idle(), 100, 'those that were looked up are not asked for again');
});

test('a new task inherits the class, whatever its number stood for', () => {
  const classes = policies();
  setPolicy(30, IDLE_POLICY);
  classes.ask(30);
  classes.refresh();
  classes.inherit(31, 30);
  classes.inherit(30, 33);
  assert.deepEqual([classes.of(31), classes.of(30)], [IDLE, NORMAL]);
});

test('without the host’s /proc nothing is looked up, and the reason is given', () => {
  const classes = makeTaskPolicies(proc);
  setPolicy(40, IDLE_POLICY);
  classes.ask(40);
  classes.refresh();
  assert.equal(classes.of(40), NORMAL);
  assert.match(classes.problem(), /pid namespace/);
  classes.procIsHosts(true);
  assert.equal(readdirSync(proc).includes('1'), false);
  assert.match(classes.problem(), /hidepid.*ENOENT/);
  setPolicy(1, NORMAL_POLICY);
  assert.equal(classes.problem(), '');
});

test('numbers that no task can have are passed over', () => {
  const classes = policies();
  for (const pid of [0, -1, 4194304]) classes.ask(pid);
  classes.refresh();
  assert.equal(classes.of(4194304), NORMAL);
});
