/** Processes of tasks, from a simulated /proc and from the machine's own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openTaskFacts } from '../../../src/agent/slow/task-facts.ts';
import { makeProcessLookup } from '../../../src/host/processes.ts';
import { FIRST_CONTAINER, SYSTEM } from '../../../src/model/containers.ts';
import { fakeContainers } from '../probes/fake-containers.ts';

const ID = '79fedb3bd23ca77c9d9ccb41909038316f713df22b54b7d942b71d3812e7c74e';
const UID = '2fc932ce-fdcc-454b-97bd-aadfdeb4c340';
const S = 1e9;
const directory = mkdtempSync(join(tmpdir(), 'ftx-proc-'));
after(() => rmSync(directory, { recursive: true }));
let made = 0;

interface Task {
  tgid?: number;
  /** Seconds after boot. */
  start?: number;
  comm?: string;
  exe?: string;
  cgroup?: string;
}

/** Simulates /proc of a machine that booted 1000 s ago and was suspended for 100 s since then. */
function machine() {
  const procDir = join(directory, String(made++));
  mkdirSync(procDir);
  writeFileSync(join(procDir, 'uptime'), '1000.00 5.00\n');
  let now = 900 * S;
  return {
    procDir,
    nowNs: () => now,
    pass: (seconds: number) => {
      now += seconds * S;
      writeFileSync(join(procDir, 'uptime'), `${(now / S + 100).toFixed(2)} 5.00\n`);
    },
    put: (tid: number, { tgid = tid, start = 500, comm = 'worker', exe, cgroup = '0::/\n' }: Task) => {
      const dir = join(procDir, String(tid));
      mkdirSync(dir, { recursive: true });
      const fields = Array.from({ length: 40 }, () => 1);
      fields[18] = start * 100;
      writeFileSync(join(dir, 'stat'), `${tid} (${comm}) S ${fields.join(' ')}\n`);
      writeFileSync(join(dir, 'status'), `Name:\t${comm}\nTgid:\t${tgid}\nPid:\t${tid}\n`);
      writeFileSync(join(dir, 'comm'), `${comm}\n`);
      writeFileSync(join(dir, 'cgroup'), cgroup);
      try {
        unlinkSync(join(dir, 'exe'));
      } catch {}
      if (exe !== undefined) symlinkSync(exe, join(dir, 'exe'));
    },
  };
}

const inPod = `0::/kubepods/burstable/pod${UID}/${ID}\n`;

test('a thread’s process, program, container and pod', () => {
  const proc = machine();
  proc.put(11, { tgid: 10, exe: '/usr/sbin/nginx', cgroup: inPod });
  const lookup = makeProcessLookup({ ...proc, containers: true });
  assert.deepEqual(lookup.of(11, 800 * S), {
    pid: 10,
    executable: 'nginx',
    container: { containerId: ID, podUid: UID },
  });
});

test('without containers nothing of cgroups is read', () => {
  const proc = machine();
  proc.put(11, { exe: '/usr/sbin/nginx', cgroup: inPod });
  unlinkSync(join(proc.procDir, '11', 'cgroup'));
  const lookup = makeProcessLookup({ ...proc, containers: false });
  assert.deepEqual(lookup.of(11, 800 * S), { pid: 11, executable: 'nginx', container: undefined });
});

test('a task that began after the requested moment is another one', () => {
  const proc = machine();
  // 600 s after boot is 500 s on the trace clock, which stops while the machine is suspended.
  proc.put(11, { start: 600, exe: '/bin/a' });
  const lookup = makeProcessLookup({ ...proc, containers: true });
  assert.equal(lookup.of(11, 499 * S), undefined);
  assert.equal(lookup.of(11, 501 * S)?.executable, 'a');
});

test('for earlier moments a reused pid is that of the task before', () => {
  const proc = machine();
  const lookup = makeProcessLookup({ ...proc, containers: true });
  proc.put(11, { start: 500, exe: '/bin/a', cgroup: inPod });
  assert.equal(lookup.of(11, 800 * S)?.container?.containerId, ID);
  proc.put(11, { start: 980, exe: '/bin/b' });
  assert.equal(lookup.of(11, 890 * S)?.executable, 'a', 'nothing is read again so soon');
  proc.pass(1);
  assert.equal(lookup.of(11, 800 * S)?.executable, 'a', 'it was there then');
  assert.deepEqual(lookup.of(11, 890 * S), { pid: 11, executable: 'b', container: undefined });
});

test('a task is looked up again after a while, because programs are replaced', () => {
  const proc = machine();
  const lookup = makeProcessLookup({ ...proc, containers: true });
  proc.put(11, { exe: '/bin/sh' });
  assert.equal(lookup.of(11, 800 * S)?.executable, 'sh');
  proc.put(11, { exe: '/usr/bin/java' });
  proc.pass(4);
  assert.equal(lookup.of(11, 800 * S)?.executable, 'sh');
  proc.pass(2);
  assert.equal(lookup.of(11, 800 * S)?.executable, 'java');
});

test('names of programs: deleted, hostile, long, missing', () => {
  const proc = machine();
  const lookup = makeProcessLookup({ ...proc, containers: true });
  const nameOf = (exe: string | undefined, comm = 'x') => {
    proc.put(++made, { comm, ...(exe === undefined ? {} : { exe }) });
    return lookup.of(made, 800 * S)?.executable;
  };
  assert.equal(nameOf('/opt/app (deleted)'), 'app');
  assert.equal(nameOf('/opt/a\nb\u0001c'), 'a\ufffdb\ufffdc');
  assert.equal(nameOf(`/opt/${'n'.repeat(255)}`)?.length, 255);
  assert.equal(nameOf(undefined, 'kworker/0:1'), '');
});

test('a name with parentheses and spaces does not move the fields after it', () => {
  const proc = machine();
  proc.put(11, { comm: 'a) S 1 2 3 (b', start: 600, exe: '/bin/a' });
  const lookup = makeProcessLookup({ ...proc, containers: true });
  assert.equal(lookup.of(11, 499 * S), undefined);
  assert.equal(lookup.of(11, 501 * S)?.executable, 'a');
});

test('a task that is gone is not found', () => {
  const lookup = makeProcessLookup({ ...machine(), containers: true });
  assert.equal(lookup.of(4_000_000, 800 * S), undefined);
});

test('a task that has ended keeps its facts for moments when it was there', () => {
  const proc = machine();
  proc.put(11, { tgid: 10, start: 500, exe: '/usr/sbin/nginx', cgroup: inPod });
  const lookup = makeProcessLookup({ ...proc, containers: true });
  const earlier = lookup.of(11, 800 * S);
  rmSync(join(proc.procDir, '11'), { recursive: true });
  proc.pass(60);
  assert.deepEqual(lookup.of(11, 850 * S), earlier);
  assert.equal(lookup.of(11, 300 * S), undefined, 'before it began');
  assert.deepEqual(lookup.of(11, 900.5 * S), earlier, 'it was seen at 900');
  assert.equal(lookup.of(11, 902 * S), undefined, 'another one may have had the id');
  // Another task gets the id. Requests for earlier moments must still return the first task.
  proc.put(11, { tgid: 11, start: 990, exe: '/bin/other' });
  assert.deepEqual(lookup.of(11, 850 * S), earlier);
  assert.equal(lookup.of(11, 930 * S)?.executable, 'other');
});

test('few tasks are remembered, those asked about last', () => {
  const proc = machine();
  for (const tid of [11, 12, 13]) proc.put(tid, { exe: '/bin/old' });
  const lookup = makeProcessLookup({ ...proc, containers: true, tasks: 2 });
  for (const tid of [11, 12, 11, 13]) lookup.of(tid, 800 * S);
  for (const tid of [11, 12, 13]) proc.put(tid, { exe: '/bin/new' });
  const names = [11, 13, 12].map((tid) => lookup.of(tid, 800 * S)?.executable);
  assert.deepEqual(names, ['old', 'old', 'new']);
});

test('this machine’s /proc: a child is found, but not before it was born', async () => {
  const bornBefore = Number(process.hrtime.bigint());
  await new Promise((resolve) => setTimeout(resolve, 100));
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await new Promise((resolve) => child.once('spawn', resolve));
  try {
    const lookup = makeProcessLookup({ containers: true });
    const facts = lookup.of(child.pid as number, Number(process.hrtime.bigint()));
    assert.equal(facts?.pid, child.pid);
    assert.match(facts?.executable ?? '', /^(sleep|coreutils|busybox)$/);
    assert.equal(lookup.of(child.pid as number, bornBefore), undefined);
  } finally {
    child.kill('SIGKILL');
  }
});

test('attributes and resource have the names of the semantic conventions', () => {
  const proc = machine();
  proc.put(11, { tgid: 10, exe: '/usr/sbin/nginx', cgroup: inPod });
  const facts = openTaskFacts({ containers: true, procDir: proc.procDir });
  const now = Number(process.hrtime.bigint());
  assert.deepEqual(facts.of(11, now), { attributes: {}, resource: {} }, 'whose /proc it is is not known yet');
  facts.procIsHosts(true);
  writeFileSync(join(proc.procDir, 'uptime'), `${(now / S + 1000).toFixed(2)} 1.00\n`);
  assert.deepEqual(facts.of(11, now), {
    attributes: { 'process.pid': 10, 'process.executable.name': 'nginx' },
    resource: { 'container.id': ID, 'k8s.pod.uid': UID },
  });
  assert.deepEqual(facts.status(), { processes: true, containers: true, reason: '' });
});

test('the table of containers names the container of a task, even one that has ended; /proc does for others', () => {
  const proc = machine();
  const table = fakeContainers([['shop', 'web-0', 'a'], undefined, ['', '', 'nginx.service']]);
  const ids = [
    { containerId: 'c1', podUid: UID },
    { containerId: 'c2', podUid: '0123456789abcdef' },
  ];
  table.ids = (slot) => ids[slot - FIRST_CONTAINER];
  proc.put(11, { tgid: 10, exe: '/usr/sbin/nginx', cgroup: inPod });
  const facts = openTaskFacts({ containers: true, procDir: proc.procDir, table: () => table });
  facts.procIsHosts(true);
  const now = Number(process.hrtime.bigint());
  writeFileSync(join(proc.procDir, 'uptime'), `${(now / S + 1000).toFixed(2)} 1.00\n`);
  assert.deepEqual(facts.of(11, now).resource, { 'container.id': ID, 'k8s.pod.uid': UID }, 'not known');
  table.table.set([FIRST_CONTAINER, FIRST_CONTAINER + 1, FIRST_CONTAINER + 2, SYSTEM], 11);
  const names = { 'k8s.namespace.name': 'shop', 'k8s.pod.name': 'web-0', 'k8s.container.name': 'a' };
  assert.deepEqual(facts.of(11, now), {
    attributes: { 'process.pid': 10, 'process.executable.name': 'nginx' },
    resource: { 'container.id': 'c1', 'k8s.pod.uid': UID, ...names },
  });
  assert.deepEqual(facts.of(12, now), {
    attributes: {},
    resource: { 'container.id': 'c2', 'k8s.pod.uid': undefined },
  });
  assert.deepEqual(facts.of(13, now).resource, {}, 'a unit');
  assert.deepEqual(facts.of(14, now).resource, {});
  const off = openTaskFacts({ containers: false, procDir: proc.procDir, table: () => table });
  off.procIsHosts(true);
  assert.deepEqual(off.of(11, now).resource, {});
});

test('in a pid namespace the agent describes no process, and the reason says so', () => {
  const proc = machine();
  proc.put(11, { exe: '/usr/sbin/nginx', cgroup: inPod });
  const facts = openTaskFacts({ containers: true, procDir: proc.procDir });
  facts.procIsHosts(false);
  assert.deepEqual(facts.of(11, Number.MAX_SAFE_INTEGER), { attributes: {}, resource: {} });
  const { processes, containers, reason } = facts.status();
  assert.deepEqual([processes, containers], [false, false]);
  assert.match(reason, /its own pid namespace.*hostPID/);
});
