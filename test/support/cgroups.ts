/** Creates control groups with names like those of containers, and starts processes in them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './agent.ts';

/** Returns the root of the cgroup hierarchy with the controller `cpu` or, for `unified`, of the cgroup v2 hierarchy. */
export function hierarchyDir(kind: 'cpu' | 'unified'): string | undefined {
  const dirs =
    kind === 'cpu'
      ? ['/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup/cpu', '/sys/fs/cgroup']
      : ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
  return dirs.find((dir) =>
    kind === 'cpu'
      ? existsSync(join(dir, 'tasks')) || readOr(join(dir, 'cgroup.controllers')).includes('cpu')
      : existsSync(join(dir, 'cgroup.controllers')),
  );
}

export interface Group {
  dir: string;
  /** The agent's name for the container: the first 12 digits of its id. */
  container: string;
  /** Writes a file of the group. The name and the value of the file depend on the cgroup version. */
  set(v2: string, v1: string, value: { v2: string; v1: string }): void;
}

/** Creates a group with a name like a container's. After the tests, removes the group when its processes have ended. */
export function makeGroup(bench: Pick<Bench, 'atEnd'>, hierarchy: string): Group {
  const id = Array.from({ length: 64 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  const dir = join(hierarchy, `docker-${id}.scope`);
  mkdirSync(dir);
  bench.atEnd(() => {
    waitUntilEmpty(dir);
    rmdirSync(dir);
  });
  return {
    dir,
    container: id.slice(0, 12),
    set: (v2, v1, value) => {
      if (existsSync(join(dir, v1))) writeFileSync(join(dir, v1), value.v1);
      else writeFileSync(join(dir, v2), value.v2);
    },
  };
}

export interface Inmate {
  pid: number;
  child: ChildProcess;
  /** Writes a line to the process, and waits for a line from it. */
  ask(line: string): Promise<string>;
  end(): Promise<void>;
}

/** Starts a Python program in a group, pinned to a CPU. The program must print a line when it is ready. */
export async function startIn(
  bench: Pick<Bench, 'atEnd'>,
  group: Group,
  cpu: number,
  program: string,
): Promise<Inmate> {
  const script = `import os, sys, time, threading\nos.sched_setaffinity(0, {${cpu}})\n${program}`;
  const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const pid = child.pid as number;
  bench.atEnd(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  });
  writeFileSync(join(group.dir, 'cgroup.procs'), String(pid));
  const line = async (): Promise<string> => {
    const [data] = (await once(child.stdout, 'data')) as [Buffer];
    return data.toString().trim();
  };
  await line();
  return {
    pid,
    child,
    ask: async (text) => {
      const answer = line();
      child.stdin.write(`${text}\n`);
      return answer;
    },
    end: async () => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Returns how long a process's first thread has waited for a CPU (Documentation/scheduler/sched-stats.rst). */
export function waitedNs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]);
}

/** Waits until a process sleeps and no longer uses or waits for a CPU. */
export async function atRest(pid: number): Promise<void> {
  for (let before = ''; ; ) {
    await sleep(100);
    const now = readFileSync(`/proc/${pid}/schedstat`, 'utf8');
    const sleeps = /\) S /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (now === before && sleeps) return;
    before = now;
  }
}

function waitUntilEmpty(dir: string): void {
  for (let i = 0; i < 200 && readOr(join(dir, 'cgroup.procs')) !== ''; i++)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
}

function readOr(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
