/**
 * Runs known loads in control groups that have the names of containers. The agent must count each wait for the right
 * container, with the container that caused it. The kernel's own accounts (schedstat, cpu.stat) are the reference.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  type Agent,
  BIN,
  makeBench,
  needTool,
  parseScrape,
  type Scrape,
  settled,
  TRACEFS,
} from '../support/agent.ts';
import { atRest, hierarchyDir, makeGroup, startIn, waitedNs } from '../support/cgroups.ts';

const execFileAsync = promisify(execFile);
const bench = makeBench('containers');
const WAIT = 'ftrace_container_runqueue_wait_seconds_total';
const INTERFERENCE = 'ftrace_container_interference_seconds_total';
const THROTTLED = 'ftrace_container_throttled_seconds_total';
const OFF = { enabled: false };
const PROBES = { sched: { per_container: true }, block: OFF, irq: OFF, softirq: OFF };

const HOG = `print('ready', flush=True)\nwhile True: pass`;
/** For each number that it reads, sleeps and wakes again and again for so many seconds. */
const WAKER = `
print('ready', flush=True)
for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end: time.sleep(0.001)
    print('done', flush=True)`;
/** For each number that it reads, uses a CPU for so many seconds. */
const WORKER = WAKER.replace('time.sleep(0.001)', 'pass');

/** Maximum number of rounds, in each of which the victim works for two seconds. */
const ROUNDS = 20;

const cpuGroups = hierarchyDir('cpu');
const unified = hierarchyDir('unified');

/** Ends processes with their test, so that after a failure they do not take the CPU from the next one. */
const inTest = (t: TestContext) => ({ atEnd: (step: () => void) => t.after(step) });

const wait = (scrape: Scrape, container: string) => scrape.sum(WAIT, { container });
const laidTo = (scrape: Scrape, container: string, by: string) =>
  scrape.sum(INTERFERENCE, { container, by_container: by });
/** Scrapes until the wait of the container no longer grows, because all events of its processes have been read. */
const atRestOf = async (agent: Agent, container: string): Promise<Scrape> => {
  let last = -1;
  return settled(agent, (scrape) => {
    const now = wait(scrape, container);
    const rests = now === last;
    last = now;
    return rests && now > 0;
  });
};

test('a victim, a hog on its CPU, and a bystander on another one', { skip: !cpuGroups }, async (t) => {
  needTool('taskset', 'util-linux');
  // The agent runs on another CPU, because it would also make the victim wait.
  const agent = await bench.start({ probes: PROBES }, { wrapper: ['taskset', '-c', '1'] });
  const [ofVictim, ofHog, ofBystander] = [0, 1, 2].map(() => makeGroup(bench, cpuGroups as string));
  // A high weight, so that other programs do not get the CPU instead of the hog.
  ofHog.set('cpu.weight', 'cpu.shares', { v2: '10000', v1: '262144' });
  const victim = await startIn(inTest(t), ofVictim, 0, WAKER);
  const hog = await startIn(inTest(t), ofHog, 0, HOG);
  const bystander = await startIn(inTest(t), ofBystander, 1, HOG);
  await victim.ask('0.2');
  await atRest(victim.pid);
  let after = await atRestOf(agent, ofVictim.container);
  let waitedSoFar = waitedNs(victim.pid);
  let share = 0;
  // Repeat, because in some rounds other programs take the CPU for a part of the time. Some machines also do not record
  // the switch from one of these programs back to the hog, so its time counts as that program's.
  for (let round = 0; round < ROUNDS && share < 0.95; round++) {
    const [before, waitedBefore] = [after, waitedSoFar];
    await victim.ask('2');
    await atRest(victim.pid);
    waitedSoFar = waitedNs(victim.pid);
    after = await atRestOf(agent, ofVictim.container);
    const grown = (value: (scrape: Scrape, container: string) => number) =>
      value(after, ofVictim.container) - value(before, ofVictim.container);
    const waited = (waitedSoFar - waitedBefore) / 1e9;
    const all = grown(wait);
    const byHog = grown((scrape, container) => laidTo(scrape, container, ofHog.container));
    t.diagnostic(`kernel ${waited} s, agent ${all} s, by the hog ${byHog} s`);
    assert.ok(waited > 0.05, 'the victim hardly waited');
    assert.ok(Math.abs(all - waited) <= waited * 0.02, `${all} s, but the kernel says ${waited} s`);
    share = byHog / all;
  }
  for (const one of [hog, bystander, victim]) await one.end();
  assert.ok(share >= 0.95, `in no round 95 % are attributed to the hog, in the last ${share}`);
  assert.equal(laidTo(after, ofVictim.container, ofBystander.container), 0);
  for (const { labels, value } of after.series(WAIT)) {
    const sum = after.sum(INTERFERENCE, labels);
    assert.ok(Math.abs(sum - value) < 1e-6, `${labels.container}: ${value} s, in pairs ${sum} s`);
  }
  assert.equal(await agent.stop(), 0);
});

test('a quota is nobody’s fault, and shows as throttled', { skip: !cpuGroups }, async (t) => {
  const agent = await bench.start({ probes: PROBES });
  const group = makeGroup(bench, cpuGroups as string);
  const other = makeGroup(bench, cpuGroups as string);
  group.set('cpu.max', 'cpu.cfs_quota_us', { v2: '20000 100000', v1: '20000' });
  // A high weight, so that other programs do not keep the worker from using its quota up.
  group.set('cpu.weight', 'cpu.shares', { v2: '10000', v1: '262144' });
  const worker = await startIn(inTest(t), group, 0, WORKER);
  const bystander = await startIn(inTest(t), other, 1, HOG);
  await worker.ask('3');
  await atRest(worker.pid);
  const scrape = await settled(agent, (now) => now.sum(THROTTLED, { container: group.container }) > 1);
  for (const one of [worker, bystander]) await one.end();
  const by = scrape
    .series(INTERFERENCE)
    .filter(({ labels }) => labels.container === group.container)
    .map(({ labels, value }) => `${labels.by_container} ${value}`);
  t.diagnostic(
    `throttled ${scrape.sum(THROTTLED, { container: group.container })} s, waits by: ${by.join(', ')}`,
  );
  assert.ok(scrape.sum(THROTTLED, { container: group.container }) > 1);
  assert.equal(laidTo(scrape, group.container, other.container), 0);
  assert.ok(laidTo(scrape, group.container, 'idle') + laidTo(scrape, group.container, 'system') > 0);
  assert.equal(await agent.stop(), 0);
});

/** Creates children in a control group with CLONE_INTO_CGROUP. Each child sleeps and wakes for a moment. */
const CLONER = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one);
  for (int i = 0; i < atoi(argv[2]); i++) {
    struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
    args.cgroup = open(argv[1], O_RDONLY | O_DIRECTORY);
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) return 1;
    if (pid == 0) {
      struct timespec pause = { 0, 1000000 };
      for (int j = 0; j < 200; j++) nanosleep(&pause, 0);
      _exit(0);
    }
    close(args.cgroup);
    waitpid(pid, 0, 0);
  }
  return 0;
}`;

test('tasks that move, begin in another group, or are born and gone in a moment', {
  skip: !unified,
}, async (t) => {
  needTool('gcc', 'gcc');
  const agent = await bench.start({ containers: { cgroup: unified }, probes: PROBES });
  const [from, to, cloned, forks, quiet] = [0, 1, 2, 3, 4].map(() => makeGroup(bench, unified as string));
  const hog = await startIn(inTest(t), makeGroup(bench, unified as string), 0, HOG);
  const mover = await startIn(inTest(t), from, 0, WAKER);
  const idler = await startIn(inTest(t), quiet, 0, WAKER);
  await idler.ask('0.05');
  await mover.ask('1');
  await atRest(mover.pid);
  const before = await atRestOf(agent, from.container);
  assert.equal(wait(before, to.container), 0);
  writeFileSync(join(to.dir, 'cgroup.procs'), String(mover.pid));
  await mover.ask('1');
  await atRest(mover.pid);
  const moved = await atRestOf(agent, to.container);
  assert.equal(wait(moved, from.container), wait(before, from.container));

  const program = join(bench.directory, 'cloner');
  execFileSync('gcc', ['-O1', '-x', 'c', '-o', program, '-'], { input: CLONER });
  execFileSync(program, [cloned.dir, '2']);
  const withClones = await atRestOf(agent, cloned.container);
  t.diagnostic(`in the group of the clones: ${wait(withClones, cloned.container)} s`);

  const quietBefore = wait(withClones, quiet.container);
  const forker = await startIn(
    inTest(t),
    forks,
    0,
    `
print('ready', flush=True)
for line in sys.stdin:
    for i in range(int(line)):
        pid = os.fork()
        if pid == 0: os._exit(0)
        os.waitpid(pid, 0)
    print('done', flush=True)`,
  );
  await forker.ask('1000');
  await atRest(forker.pid);
  const after = await atRestOf(agent, forks.container);
  for (const one of [hog, mover, idler, forker]) await one.end();
  assert.equal(wait(after, quiet.container), quietBefore, 'it slept all the time');
  assert.equal(wait(after, to.container), wait(moved, to.container));
  assert.ok(wait(after, forks.container) > 0);
  assert.equal(await agent.stop(), 0);
});

/** For each number that it reads, two processes wake each other in turn for so many seconds. */
const HANDOVER = `
there, back = os.pipe(), os.pipe()
if os.fork() == 0:
    os.close(there[1])
    while os.read(there[0], 1): os.write(back[1], b'x')
    os._exit(0)
print('ready', flush=True)
for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end:
        os.write(there[1], b'x')
        os.read(back[0], 1)
    print('done', flush=True)`;

test('a buffer that loses events: what is not known is counted as such, and nobody gets the wait of others', {
  skip: !cpuGroups,
}, async (t) => {
  const agent = await bench.start({ buffer: { per_cpu: '64KiB' }, drain_interval: '1s', probes: PROBES });
  const [busy, quiet] = [0, 1].map(() => makeGroup(bench, cpuGroups as string));
  busy.set('cpu.weight', 'cpu.shares', { v2: '10000', v1: '262144' });
  const idler = await startIn(inTest(t), quiet, 0, WAKER);
  const pair = await startIn(inTest(t), busy, 0, HANDOVER);
  await idler.ask('0.3');
  await atRest(idler.pid);
  // The last waits of the idler are counted at the next drain, which can be late on a busy machine.
  let before = await agent.scrape();
  for (let last = -1; wait(before, quiet.container) !== last; ) {
    last = wait(before, quiet.container);
    await sleep(3000);
    before = await agent.scrape();
  }
  await pair.ask('4');
  await atRest(pair.pid);
  const after = await settled(agent, (now) => wait(now, busy.container) > 0);
  for (const one of [idler, pair]) await one.end();
  const lost = after.sum('ftrace_exporter_events_lost_total', { reason: 'overrun' });
  const unknown = after.sum('ftrace_exporter_container_lookups_total', { outcome: 'unknown' });
  t.diagnostic(`${lost} events lost, ${unknown} look-ups of unknown tasks`);
  assert.ok(lost > 0);
  assert.ok(unknown > 0);
  assert.equal(wait(after, quiet.container), wait(before, quiet.container));
  for (const { labels, value } of after.series(WAIT))
    assert.ok(
      Math.abs(after.sum(INTERFERENCE, labels) - value) < 1e-6,
      `${labels.container}: ${after.sum(INTERFERENCE, labels)} of ${value}`,
    );
  assert.equal(await agent.stop(), 0);
});

test('a replay names the containers of a recording', { skip: !unified }, async (t) => {
  const [from, to] = [0, 1].map(() => makeGroup(bench, unified as string));
  const mover = await startIn(inTest(t), from, 0, WAKER);
  const files = ['recording.yaml', 'containers.dat'].map((name) => join(bench.directory, name));
  const instance = bench.instanceName('recording');
  writeFileSync(files[0], JSON.stringify({ instance, containers: { cgroup: unified }, probes: PROBES }));
  const cli = (...args: string[]) =>
    execFileAsync(process.execPath, [BIN, ...args, '--config.file', files[0]]);
  const recording = cli('record', '-o', files[1], '--duration', '5s');
  const enable = join(TRACEFS, 'instances', `${instance}-record`, 'events/cgroup/cgroup_attach_task/enable');
  while (!existsSync(enable) || !readFileSync(enable, 'utf8').startsWith('1')) await sleep(20);
  await mover.ask('1');
  writeFileSync(join(to.dir, 'cgroup.procs'), String(mover.pid));
  await mover.ask('1');
  await recording;
  await mover.end();
  const { stdout } = await cli('replay', files[1]);
  const scrape = parseScrape(stdout);
  const [waited, waitedThere] = [from, to].map(({ container }) => wait(scrape, container));
  t.diagnostic(`${waited} s, and ${waitedThere} s after the move`);
  assert.ok(waited > 0 && waitedThere > 0);
  for (const { labels, value } of scrape.series(WAIT))
    assert.ok(Math.abs(scrape.sum(INTERFERENCE, labels) - value) < 1e-6, labels.container);
});

/** Output of `doctor` when `wrapper` starts it. */
function doctor(wrapper: readonly string[]): string {
  const file = join(bench.directory, 'doctor.yaml');
  writeFileSync(file, JSON.stringify({ probes: PROBES }));
  const [program, ...args] = [...wrapper, process.execPath, BIN, 'doctor', '--config.file', file];
  return spawnSync(program, args, { encoding: 'utf8' }).stdout;
}

test('in a pid namespace of its own the agent gives the reason, and no numbers', async () => {
  needTool('unshare', 'util-linux');
  const wrapper = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const agent = await bench.start({ probes: PROBES }, { wrapper });
  const status = await (await fetch(`${agent.url}/api/v1/status`)).text();
  assert.match(status, /no metrics by container: the agent runs in its own pid namespace/);
  assert.match(agent.stderr(), /no metrics by container/);
  assert.deepEqual((await agent.scrape()).series(WAIT), []);
  assert.match(doctor(wrapper), /^metrics by container +no: the agent runs in its own pid namespace/m);
  assert.match(doctor([]), /^metrics by container +yes: \d+ containers and units/m);
});
