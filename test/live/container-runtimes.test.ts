/**
 * Runs containers with podman and each runtime that this machine has. The agent must name them by their ids, and count
 * waits and syscalls for the right one.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { makeBench, needTool, settled } from '../support/agent.ts';
import { skipWithout } from '../support/tools.ts';

const bench = makeBench('runtimes');
const WAIT = 'ftrace_container_runqueue_wait_seconds_total';
const INTERFERENCE = 'ftrace_container_interference_seconds_total';
const OFF = { enabled: false };

const PATHS = ['/usr/sbin/runc', '/usr/bin/runc', '/usr/bin/crun'];
const RUNTIMES = [...new Set(PATHS.filter(existsSync).map((path) => realpathSync(path)))];
const MANAGERS = ['cgroupfs', ...(existsSync('/run/systemd/system') ? ['systemd'] : [])];

/** Uses the first CPU: with an argument, sleeps and wakes again and again; without one, never sleeps. */
const LOAD = `
#define _GNU_SOURCE
#include <sched.h>
#include <time.h>
int main(int argc, char **argv) {
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  sched_setaffinity(0, sizeof first, &first);
  struct timespec ms = {0, 1000000};
  for (;;) if (argc > 1) nanosleep(&ms, 0);
}
`;

/** A root file system that contains only the program. */
function makeRoot(): string {
  needTool('gcc', 'gcc');
  const root = join(bench.directory, 'root');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(bench.directory, 'load.c'), LOAD);
  execFileSync('gcc', ['-O1', '-static', '-o', join(root, 'load'), join(bench.directory, 'load.c')]);
  return root;
}

function podmanWith(runtime: string, manager: string) {
  const storage = ['root', 'runroot'].map((what) => `--${what}=${join(bench.directory, `podman-${what}`)}`);
  const global = [...storage, '--storage-driver=vfs', `--cgroup-manager=${manager}`, `--runtime=${runtime}`];
  return (...args: string[]) => spawnSync('podman', [...global, ...args], { encoding: 'utf8' });
}

/** Podman would raise these limits, and a machine without CAP_SYS_RESOURCE refuses that. */
const LIMITS = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=4096:4096'];
const OPTIONS = [
  '--rm',
  '--network=host',
  '--cap-drop=all',
  '--read-only',
  '--read-only-tmpfs=false',
  ...LIMITS,
];

let works = 0;

for (const runtime of RUNTIMES)
  for (const manager of MANAGERS)
    test(`containers of podman with ${basename(runtime)} and the cgroup manager ${manager}`, {
      skip: skipWithout('podman', 'podman'),
    }, async (t) => {
      const podman = podmanWith(runtime, manager);
      const root = makeRoot();
      const run = (...args: string[]) => {
        const { status, stdout, stderr } = podman(
          'run',
          '-d',
          ...OPTIONS,
          '--rootfs',
          root,
          '/load',
          ...args,
        );
        const id = stdout.trim();
        if (status === 0) bench.atEnd(() => podman('rm', '--force', '--ignore', '--time=0', id));
        return { id, name: id.slice(0, 12), problem: status === 0 ? '' : stderr.trim() };
      };
      const hog = run();
      if (hog.problem !== '') return t.skip(`no container runs: ${hog.problem}`);
      const agent = await bench.start({
        probes: {
          ...{ block: OFF, irq: OFF, softirq: OFF, sched: { per_container: true } },
          syscalls: { enabled: true, per_container: true, include: ['nanosleep', 'clock_nanosleep'] },
        },
      });
      // It begins after the first scan.
      const victim = run('wakes');
      assert.equal(victim.problem, '');
      const byHog = { container: victim.name, by_container: hog.name };
      const calls = { container: victim.name, namespace: '', pod: '' };
      const scrape = await settled(
        agent,
        (now) =>
          now.sum(INTERFERENCE, byHog) > 0 && now.sum('ftrace_syscall_duration_seconds_count', calls) > 9,
      );
      const waits = scrape.series(WAIT).filter(({ labels }) => labels.container === victim.name);
      assert.deepEqual(
        waits.map(({ labels }) => labels),
        [calls],
      );
      assert.equal(scrape.sum('ftrace_syscall_duration_seconds_count', { container: hog.name }), 0);
      for (const { id } of [victim, hog]) podman('rm', '--force', '--time=0', id);
      assert.equal(await agent.stop(), 0);
      works++;
    });

test('containers of one runtime at least have been seen', { skip: skipWithout('podman', 'podman') }, () => {
  assert.ok(
    works > 0,
    `no container runs here with ${RUNTIMES.join(', ') || 'any runtime: apt-get install runc'}`,
  );
});
