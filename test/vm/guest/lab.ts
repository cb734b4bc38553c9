/** What checks in the guest share: which kernel this is, the agent as a process, its metrics, small workloads. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Samples, samplesOf } from '../../support/samples.ts';
import { LAB_TRACERS, type LabTracer, whyNotOffered } from '../tracers.ts';

export const TRACEFS = '/sys/kernel/tracing';
/** Name of the kernel, as in `--kernel`. */
export const KERNEL = process.env.FTX_LAB_KERNEL ?? '';
/** The same in every guest. */
export const CPUS = [0, 1];
/** Writable; the host reads it afterwards. */
export const SHARE = process.env.FTX_LAB_SHARE ?? '/run/lab';
/** The tracers in `--tracer`, or all. */
const WANTED = (process.env.FTX_LAB_TRACERS ?? '').split(',').filter((name) => name !== '');
const BIN = fileURLToPath(new URL('../../../bin/ftrace-exporter.js', import.meta.url));
/** A wait that takes longer fails the check. Checks assert nothing about how long anything takes. */
const PATIENCE_MS = 180_000;

export function wantedTracers(): readonly LabTracer[] {
  return WANTED.length === 0 ? LAB_TRACERS : LAB_TRACERS.filter(({ name }) => WANTED.includes(name));
}

/**
 * Reason to skip the checks of a tracer here, or false. Another check makes sure that the kernel has the tracers it
 * must have.
 */
export function skipTracer(name: string): string | false {
  const tracer = wantedTracers().find((wanted) => wanted.name === name);
  if (tracer === undefined) return 'not asked for';
  return whyNotOffered(tracer, KERNEL) ?? false;
}

export interface RunningAgent {
  child: ChildProcess;
  stderr(): string;
  /** Exit status, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
  scrape(): Promise<Samples>;
  /** Body of another page. */
  get(path: string): Promise<{ status: number; body: string }>;
}

/** Starts the command line of this repository with a config; `ended` resolves when it has ended and to how. */
export function startCli(args: readonly string[], config: string): Omit<RunningAgent, 'scrape' | 'get'> {
  const file = join(process.env.TMPDIR ?? '/tmp', `lab-${process.pid}.yaml`);
  writeFileSync(file, config);
  const child = spawn(process.execPath, [BIN, ...args, '--config.file', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on('close', (status, signal) => resolve(status ?? signal));
  });
  return { child, stderr: () => stderr, ended };
}

/** Runs the command line to its end. */
export function cli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { status: number | null; stdout: string; stderr: string } {
  const options = { encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, ...env } } as const;
  const done = spawnSync(process.execPath, [BIN, ...args], options);
  assert.equal(done.signal, null, `${args.join(' ')} was ended by a signal: ${done.stderr}`);
  return done;
}

/** Starts the agent and waits until it serves. */
export async function startAgent(config: string): Promise<RunningAgent> {
  const running = startCli(['run', '--web.listen-address', '127.0.0.1:0'], config);
  const urlInLog = () => /serving metrics.* url=(\S+)/.exec(running.stderr())?.[1];
  let over = false;
  void running.ended.then(() => {
    over = true;
  });
  await until(
    () => over || urlInLog() !== undefined,
    () => `the agent serves; its log: ${running.stderr()}`,
  );
  const url = urlInLog();
  assert.ok(url, running.stderr());
  const scrape = async () => samplesOf(await (await fetch(url)).text());
  const get = async (path: string) => {
    const response = await fetch(new URL(path, url));
    return { status: response.status, body: await response.text() };
  };
  return { ...running, scrape, get };
}

export interface Expected {
  /** False if there is nothing to read. */
  reads?: boolean;
  /** Warnings that this test's own doings explain. */
  warns?: RegExp;
  /** Buffers whose recording this test's own doings interrupt. */
  interrupted?: readonly string[];
}

/** Ends the agent. Expects that nothing was lost, that everything could be decoded and that it did not complain. */
export async function endWell(
  agent: RunningAgent,
  { reads = true, warns, interrupted = [] }: Expected = {},
): Promise<void> {
  const last = await losesNothing(agent, interrupted);
  if (reads) assert.ok(last.sum('ftrace_exporter_events_read_total') > 0, 'nothing was read');
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended, 0, agent.stderr());
  const complaints = agent
    .stderr()
    .split('\n')
    // An emulated machine has no good clocksource, and the agent warns about that.
    .filter((line) => /level=(warn|error)/.test(line) && !line.includes('clocksource is'))
    .filter((line) => warns?.test(line) !== true);
  assert.deepEqual(complaints, []);
}

/** Returns the scrape that shows it. `interrupted`: buffers whose recording the test interrupted. */
export async function losesNothing(
  agent: RunningAgent,
  interrupted: readonly string[] = [],
): Promise<Samples> {
  const { body } = await agent.get('/metrics');
  const losses = /^ftrace_exporter_(events_lost|decode_errors)_total.* (?!0$)\S+$/;
  const own = new RegExp(`buffer="(${interrupted.join('|')})".*reason="paused"`);
  assert.deepEqual(
    body.split('\n').filter((line) => losses.test(line) && !(interrupted.length > 0 && own.test(line))),
    [],
    `events were lost, or pages could not be decoded; the agent's log: ${agent.stderr()}`,
  );
  return samplesOf(body);
}

export async function until(
  done: () => boolean | Promise<boolean>,
  what: string | (() => string),
): Promise<void> {
  const endsAt = performance.now() + PATIENCE_MS;
  while (!(await done())) {
    if (performance.now() > endsAt)
      throw new Error(`gave up waiting until ${typeof what === 'string' ? what : what()}`);
    await sleep(100);
  }
}

/** Waits until a value has reached `least` and has then not changed for some time: late counts would show. */
export async function settled(read: () => Promise<number>, least: number, what: string): Promise<number> {
  let value = await read();
  await until(async () => {
    value = await read();
    return value >= least;
  }, `${what} reaches ${least} (now ${value})`).catch(() => {});
  await sleep(1500);
  return await read();
}

/** Runs a script of Node pinned to one CPU. */
export function nodeOn(cpu: number, script: string): string {
  return execFileSync('taskset', ['-c', String(cpu), process.execPath, '-e', script], { encoding: 'utf8' });
}

export function getppids(cpu: number, calls: number): void {
  nodeOn(cpu, `for (let i = 0; i < ${calls}; i++) process.ppid`);
}
