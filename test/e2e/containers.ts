/**
 * Builds the image with deploy/image/build.sh and runs containers of it with Debian's podman. They are locked down like
 * a pod of the chart: no capabilities, no new privileges, the engine's seccomp filter, a read-only root, tracefs at
 * /tracing.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Bench, parseScrape, type Scrape, TRACEFS } from '../support/agent.ts';

const BUILD = fileURLToPath(new URL('../../deploy/image/build.sh', import.meta.url));
/** Not in the bench's directory, so that the stand-in base images are made once. Tests remove the images they build. */
export const STORAGE = join(homedir(), '.cache', 'ftrace-exporter', 'images');
const START_TIMEOUT_MS = 30_000;
const MOST_FILES = 4096;

/** Where Debian has its programs; sbin may not be in PATH. */
const RUNTIMES = ['/usr/sbin/runc', '/usr/bin/crun'];

export interface Outcome {
  status: number | null;
  /** Text from stdout and stderr. */
  output: string;
}

export interface Engine {
  /** `podman 4.3.1 with runc 1.1.5` */
  name: string;
  podman(...args: string[]): Outcome;
  /** Runs a command of the image to its end, locked down. */
  once(options: readonly string[], ...command: string[]): Outcome;
  /** Starts an agent, locked down, and waits until it is ready. */
  start(options: readonly string[], ...command: string[]): Promise<Container>;
}

export interface Container {
  name: string;
  url: string;
  output(): string;
  scrape(): Promise<Scrape>;
  /** Exit status of the agent after SIGTERM. */
  stop(): Promise<number | null>;
}

/** Runs a program to its end. */
export function outcomeOf(program: string, ...args: string[]): Outcome {
  const done = spawnSync(program, args, { encoding: 'utf8' });
  if (done.error !== undefined) return { status: null, output: done.error.message };
  return { status: done.status, output: done.stdout + done.stderr };
}

/** Builds the image for an architecture. Returns its tag and the output of the script. */
export function buildImage(arch: string, purpose: string): { tag: string; said: string } {
  const tag = `localhost/ftrace-exporter-test:${purpose}-${process.pid}-${arch}`;
  const { status, output } = outcomeOf(BUILD, '--arch', arch, '--tag', tag, '--storage', STORAGE);
  assert.equal(status, 0, output);
  const lines = output.split('\n').filter((line) => /^(stand-in|STANDING IN|built)/.test(line));
  return { tag, said: lines.join('\n') };
}

/** Options of every container. `--read-only-tmpfs=false`, or podman would add a tmpfs on /tmp, /run and elsewhere. */
const LOCKED_UP = [
  ...['--cap-drop=all', '--security-opt=no-new-privileges', '--read-only', '--read-only-tmpfs=false'],
  ...['--network=host', `--volume=${TRACEFS}:/tracing`],
];

/** Returns an engine that can run this image on this machine. If none can, throws with the output of each runtime. */
export function engineFor(tag: string, bench: Bench): Engine {
  const storage = [`--root=${STORAGE}/storage`, `--runroot=${STORAGE}/run`, '--storage-driver=vfs'];
  mkdirSync(STORAGE, { recursive: true });
  const tried: string[] = [];
  for (const runtime of RUNTIMES) {
    if (!existsSync(runtime)) continue;
    const global = [...storage, '--cgroup-manager=cgroupfs', `--runtime=${runtime}`];
    const podman = (...args: string[]) => outcomeOf('podman', ...global, ...args);
    const probe = podman('run', '--rm', ...LOCKED_UP, ...limits(), tag, '--version');
    if (probe.status !== 0) {
      tried.push(`${runtime}: ${probe.output.trim()}`);
      continue;
    }
    const version = (program: string) => outcomeOf(program, '--version').output.split('\n', 1)[0];
    return engineOf(tag, bench, global, `${version('podman')} with ${version(runtime)}`);
  }
  assert.fail(`no container runs here (apt-get install podman runc):\n${tried.join('\n')}`);
}

/** Podman would raise these limits, and a machine without CAP_SYS_RESOURCE refuses that. */
function limits(): string[] {
  const text = readFileSync('/proc/self/limits', 'utf8');
  return ['nofile:Max open files', 'nproc:Max processes'].map((pair) => {
    const [name, label] = pair.split(':');
    const hard = Number(new RegExp(`^${label}\\s+\\S+\\s+(\\d+)`, 'm').exec(text)?.[1] ?? MOST_FILES);
    return `--ulimit=${name}=${Math.min(hard, MOST_FILES)}`;
  });
}

function engineOf(tag: string, bench: Bench, global: readonly string[], name: string): Engine {
  const podman = (...args: string[]) => outcomeOf('podman', ...global, ...args);
  const locked = (options: readonly string[]) => {
    const mounts = options.some((option) => option.includes(':/tracing'));
    const locks = LOCKED_UP.filter((lock) => !mounts || !lock.endsWith(':/tracing'));
    return [...['run', '--rm', '--no-healthcheck', ...locks, ...limits(), ...options], tag];
  };
  let made = 0;
  return {
    name,
    podman,
    once: (options, ...command) => podman(...locked(options), ...command),
    start: async (options, ...command) => {
      const container = `ftx-image-${process.pid}-${made++}`;
      bench.atEnd(() => podman('rm', '--force', '--ignore', '--time=0', container));
      const args = [...global, ...locked([`--name=${container}`, ...options]), ...command];
      const child = spawn('podman', args, { stdio: ['ignore', 'pipe', 'pipe'] });
      return whenReady(child, container, () => podman('stop', '--time=15', container));
    },
  };
}

async function whenReady(child: ChildProcess, name: string, end: () => Outcome): Promise<Container> {
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const url = /serving metrics.*?url=(http:\/\/[^\s/]+)/.exec(output)?.[1];
    if (url !== undefined && (await fetch(`${url}/readyz`)).status === 200)
      return {
        name,
        url,
        output: () => output,
        scrape: async () => parseScrape(await (await fetch(`${url}/metrics`)).text()),
        stop: () => {
          end();
          return ended;
        },
      };
    assert.equal(child.exitCode, null, `the container ended:\n${output}`);
    assert.ok(performance.now() < deadline, `the container did not become ready:\n${output}`);
    await sleep(50);
  }
}

/** Mounts the file system of an image, passes its path on, and unmounts it again. */
export function withRootOf<T>(tag: string, use: (root: string) => T): T {
  const storage = [`--root=${STORAGE}/storage`, `--runroot=${STORAGE}/run`, '--storage-driver=vfs'];
  const mounted = outcomeOf('podman', ...storage, 'image', 'mount', tag);
  assert.equal(mounted.status, 0, mounted.output);
  try {
    return use(mounted.output.trim());
  } finally {
    outcomeOf('podman', ...storage, 'image', 'unmount', tag);
  }
}

/** Removes an image. */
export function removeImage(tag: string): void {
  const storage = [`--root=${STORAGE}/storage`, `--runroot=${STORAGE}/run`, '--storage-driver=vfs'];
  outcomeOf('podman', ...storage, 'rmi', '--force', tag);
}
