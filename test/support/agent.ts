/**
 * Runs an agent as a user does, for live tests: a process with its own config and instance. Parses its metrics. Ends
 * processes and removes instances after the tests of a file, even if a test fails.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cleanup } from '../../src/tracefs/cleanup.ts';
import { findTracefs } from '../../src/tracefs/mount.ts';
import { parseExposition } from './exposition.ts';

export const BIN = fileURLToPath(new URL('../../bin/ftrace-exporter.js', import.meta.url));
export const TRACEFS = findTracefs({ mayMount: true });

/** On a busy machine, an agent takes up to half a minute to start. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const SETTLE_TIMEOUT_MS = 30_000;
const DEFAULT_STATE_DIR = '/run/ftrace-exporter';

/** If the program is missing, fails with the name of the package to install. */
export function needTool(name: string, debianPackage: string): void {
  const { error } = spawnSync(name, ['--version'], { stdio: 'ignore' });
  assert.equal(error, undefined, `${name} is missing: apt-get install ${debianPackage}`);
}

/** Starts what a test file needs, and ends or removes it after the file's tests. */
export interface Bench {
  /** A directory for files. */
  directory: string;
  /** Starts an agent without waiting until it is ready. `wrapper` is a command that starts the agent. */
  launch(config: Config, how?: LaunchOptions): Launched;
  /** Starts an agent and waits until it is ready. */
  start(config: Config, how?: LaunchOptions): Promise<Agent>;
  /** Runs a workload in a Node process of its own; see `Workload`. */
  workload(script: string, how?: { wrapper?: readonly string[] }): Promise<Workload>;
  /** Returns a name for an instance that the test creates itself. The instance is removed after the file's tests. */
  instanceName(purpose: string): string;
  /** Adds a step to do after the file's tests, even if they fail. Later steps are done before earlier ones. */
  atEnd(step: () => void): void;
}

export type Config = Readonly<Record<string, unknown>>;

export interface LaunchOptions {
  wrapper?: readonly string[];
  flags?: readonly string[];
  nodeFlags?: readonly string[];
  /** Name of the instance; default: a new one. */
  instance?: string;
  /** Default: `run`. */
  command?: readonly string[];
}

export interface Launched {
  child: ChildProcess;
  instance: string;
  /** Directory of the instance in tracefs. */
  dir: string;
  stderr(): string;
  /** Exit status, or the signal that ended the agent. */
  ended: Promise<number | NodeJS.Signals | null>;
  /** Waits until the agent is ready. Rejects with its log if it ends before that. */
  ready(): Promise<Agent>;
}

export interface Agent extends Launched {
  /** `http://127.0.0.1:PORT` */
  url: string;
  scrape(): Promise<Scrape>;
  /** Ends the agent with SIGTERM. Returns its exit status. */
  stop(): Promise<number | NodeJS.Signals | null>;
}

export interface Scrape {
  text: string;
  /** Sum of all series of a name that have these labels; 0 if there are none. */
  sum(name: string, labels?: Record<string, string>): number;
  /** Label sets of all series of a name. */
  series(name: string): { labels: Record<string, string>; value: number }[];
}

/** A Node process that runs its script's `work()` on request, and is otherwise idle. */
export interface Workload {
  pid: number;
  /** Runs `work()`. Returns its result, which is passed as JSON. */
  run<T>(): Promise<T>;
  end(): Promise<void>;
}

/** Makes a bench that cleans up after the tests of the calling file. */
export function makeBench(prefix: string): Bench {
  const directory = mkdtempSync(join(tmpdir(), `ftx-${prefix}-`));
  const children: ChildProcess[] = [];
  const steps: (() => void)[] = [];
  /** State directory of each agent, by name of its instance. */
  const stateDirs = new Map<string, string>();
  const names = `ftx-${prefix}-${process.pid}`;
  let made = 0;
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map(gone));
    // Do this before removing `directory`, which can contain state directories with the journals of killed agents.
    for (const [name, stateDir] of stateDirs) cleanup(TRACEFS, [name], stateDir);
    for (const step of steps.reverse()) step();
    removeInstances(names);
    rmSync(directory, { recursive: true, force: true });
  });
  const instanceName = (purpose: string) => `${names}-${purpose}${made++}`;

  const launch = (config: Config, how: LaunchOptions = {}): Launched => {
    const instance = how.instance ?? instanceName('a');
    const file = join(directory, `${instance}.yaml`);
    stateDirs.set(instance, String(config.state_dir ?? DEFAULT_STATE_DIR));
    const whole = { instance, web: { listen_address: '127.0.0.1:0' }, ...config };
    writeFileSync(file, JSON.stringify(whole));
    const [program, ...args] = [
      ...(how.wrapper ?? []),
      process.execPath,
      ...(how.nodeFlags ?? []),
      BIN,
      ...(how.command ?? ['run']),
      '--config.file',
      file,
      ...(how.flags ?? []),
    ];
    const child = spawn(program, args, { env: cleanEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] });
    children.push(child);
    let stderr = '';
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const ended = endOf(child);
    const launched = {
      child,
      instance,
      dir: join(TRACEFS, 'instances', instance),
      stderr: () => stderr,
      ended,
    };
    return { ...launched, ready: () => whenReady(launched) };
  };

  return {
    directory,
    launch,
    start: (config, how) => launch(config, how).ready(),
    workload: async (script, how) => {
      const workload = startWorkload(script, how?.wrapper ?? []);
      children.push(workload.child);
      return workload.ready;
    },
    instanceName,
    atEnd: (step) => {
      steps.push(step);
    },
  };
}

/** The environment without variables that would change the config of an agent. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('FTRACE_EXPORTER_')),
  );
}

type Started = Omit<Launched, 'ready'>;

async function whenReady(launched: Started): Promise<Agent> {
  const { child, stderr, ended } = launched;
  let over: unknown;
  void ended.then((end) => {
    over = end ?? 'ended';
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const url = /serving metrics.*?url=(http:\/\/[^\s/]+)/.exec(stderr())?.[1];
    if (url !== undefined && (await fetch(`${url}/readyz`)).status === 200) return agentAt(launched, url);
    assert.equal(over, undefined, `the agent ended with ${over}:\n${stderr()}`);
    assert.ok(performance.now() < deadline, `the agent did not become ready:\n${stderr()}`);
    await sleep(20);
    if (child.exitCode !== null) await ended;
  }
}

function agentAt(launched: Started, url: string): Agent {
  const { child, ended, stderr } = launched;
  return {
    ...launched,
    ready: () => whenReady(launched),
    url,
    scrape: async () => parseScrape(await (await fetch(`${url}/metrics`)).text()),
    stop: async () => {
      child.kill('SIGTERM');
      const late = sleep(STOP_TIMEOUT_MS, 'late' as const, { ref: false });
      const end = await Promise.race([ended, late]);
      assert.notEqual(end, 'late', `the agent did not stop:\n${stderr()}`);
      return end as number | NodeJS.Signals | null;
    },
  };
}

/** Parses the samples of an exposition. Throws on a line that is neither a sample nor a comment. */
export function parseScrape(text: string): Scrape {
  const byName = Map.groupBy(parseExposition(text), ({ name }) => name);
  const series = (name: string) =>
    (byName.get(name) ?? []).map(({ labels, value }) => ({
      labels,
      value: Number(value.replace('Inf', 'Infinity')),
    }));
  const sum = (name: string, labels: Record<string, string> = {}) => {
    let total = 0;
    for (const one of series(name)) {
      if (Object.entries(labels).every(([label, value]) => one.labels[label] === value)) total += one.value;
    }
    return total;
  };
  return { text, sum, series };
}

/** Scrapes until `done` returns true, and once more a moment later, because a count could still become too high. */
export async function settled(
  agent: Pick<Agent, 'scrape'>,
  done: (scrape: Scrape) => boolean,
): Promise<Scrape> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  while (!done(await agent.scrape()) && performance.now() < deadline) await sleep(50);
  await sleep(300);
  return agent.scrape();
}

function startWorkload(script: string, wrapper: readonly string[]) {
  const body = `${script}
    process.stdin.on('data', async () => { process.stdout.write(JSON.stringify(await work() ?? null) + '\\n'); });
    process.stdout.write(JSON.stringify(process.pid) + '\\n');`;
  const [program, ...args] = [...wrapper, process.execPath, '--input-type=commonjs', '-e', body];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = endOf(child);
  let received = '';
  let take: ((line: string) => void) | undefined;
  child.stdout.on('data', (chunk) => {
    received += chunk;
    const end = received.indexOf('\n');
    if (end < 0) return;
    const line = received.slice(0, end);
    received = received.slice(end + 1);
    take?.(line);
  });
  const nextLine = () =>
    new Promise<string>((resolve, reject) => {
      take = resolve;
      void ended.then((end) => reject(new Error(`the workload ended with ${end}`)));
    });
  const first = nextLine();
  const ready = first.then(
    (line): Workload => ({
      pid: JSON.parse(line) as number,
      run: async <T>() => {
        const answer = nextLine();
        child.stdin.write('go\n');
        return JSON.parse(await answer) as T;
      },
      end: async () => {
        child.stdin.end();
        child.kill('SIGKILL');
        await ended;
      },
    }),
  );
  return { child, ready };
}

function endOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  await new Promise((resolve) => child.once('exit', resolve));
}

function removeInstances(prefix: string): void {
  for (const name of readdirSync(join(TRACEFS, 'instances'))) {
    if (!name.startsWith(prefix)) continue;
    const dir = join(TRACEFS, 'instances', name);
    for (let tries = 0; existsSync(dir) && tries < 50; tries++) {
      try {
        rmdirSync(dir);
      } catch {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
    }
    assert.ok(!existsSync(dir), `cannot remove ${dir}`);
  }
}

export function readTrimmed(...path: string[]): string {
  return readFileSync(join(...path), 'utf8').trim();
}
