/**
 * Removes a cluster in any state, by what its directory says. Agents get time to restore what they changed. The process
 * that holds the namespaces ends last; mounts and networks go with it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, TRACEFS } from '../support/agent.ts';
import { clusterProcesses, commandOf, kill, podProcesses } from './processes.ts';

const PREFIX = 'ftx-cluster-';
const CGROUPS = '/sys/fs/cgroup';
const AGENTS_MS = 15_000;
const KILLED_MS = 10_000;

/** Directory of a cluster that this process owns. */
export function clusterDirectory(): string {
  return join(tmpdir(), `${PREFIX}${process.pid}`);
}

/** Names of the agents' tracing instances begin with this. */
export function instanceOf(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}

/** Directories of clusters whose owner was killed. */
export function abandonedClusters(): string[] {
  return readdirSync(tmpdir())
    .filter((name) => new RegExp(`^${PREFIX}\\d+$`).test(name))
    .filter((name) => !existsSync(`/proc/${name.slice(PREFIX.length)}`))
    .map((name) => join(tmpdir(), name));
}

export async function removeCluster(directory: string): Promise<void> {
  const holder = existsSync(join(directory, 'holder.pid'))
    ? Number(readFileSync(join(directory, 'holder.pid'), 'utf8'))
    : 0;
  const others = () => clusterProcesses(directory).filter((pid) => pid !== holder);
  // Must be first: it would restart what ends.
  for (const pid of others()) if (commandOf(pid).includes('kubelet')) kill(pid, 'SIGKILL');
  const pods = () => podProcesses();
  const agents = () => pods().filter((pid) => commandOf(pid).includes('ftrace-exporter.js'));
  for (const pid of agents()) kill(pid, 'SIGTERM');
  await gone(agents, AGENTS_MS);
  await killAll(pods);
  await killAll(others);
  await killAll(() => clusterProcesses(directory));
  cleanTracefs(directory);
  detachDisks(directory);
  for (const cgroup of kubeletCgroups()) removeCgroup(cgroup);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

async function gone(list: () => number[], patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while (list().length > 0) {
    if (performance.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

async function killAll(list: () => number[]): Promise<void> {
  for (const pid of list()) kill(pid, 'SIGKILL');
  if (await gone(list, KILLED_MS)) return;
  throw new Error(`still there after SIGKILL: ${list().map((pid) => `${pid} ${commandOf(pid)}`)}`);
}

/** Removes instances that killed agents of this cluster left, and restores what their journals list. */
function cleanTracefs(directory: string): void {
  const prefix = instanceOf(directory);
  const names = new Set([prefix, ...instances().filter((name) => name.startsWith(prefix))]);
  for (const instance of names) {
    const env = { ...process.env, FTRACE_EXPORTER_INSTANCE: instance };
    const state = join(directory, 'host', 'run', 'ftrace-exporter');
    spawnSync(process.execPath, [BIN, 'cleanup', `--state.dir=${state}`], { env, stdio: 'inherit' });
  }
}

function instances(): string[] {
  return readdirSync(join(TRACEFS, 'instances'));
}

/** Loop devices with a file in the directory. */
function detachDisks(directory: string): void {
  const { stdout } = spawnSync('losetup', ['--noheadings', '--output=NAME,BACK-FILE'], { encoding: 'utf8' });
  for (const line of (stdout ?? '').split('\n')) {
    const [device, file] = line.trim().split(/\s+/);
    if (file?.startsWith(`${directory}/`)) spawnSync('losetup', ['--detach', device], { stdio: 'inherit' });
  }
}

/** In each hierarchy of version 1, or in the one of version 2. */
export function kubeletCgroups(): string[] {
  return ['.', ...readdirSync(CGROUPS)]
    .map((name) => join(CGROUPS, name, 'kubepods'))
    .filter((path) => existsSync(path));
}

function removeCgroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  for (let tries = 0; ; tries++) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      // Its last process may not be gone yet.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      if (tries >= 100) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
