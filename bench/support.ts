/** Helpers of the benchmarks: compile workloads in C, start an agent, read CPU times, compute medians. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, homedir, release, tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = new URL('..', import.meta.url).pathname;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function machineLine(): string {
  return `${cpus().length} × ${cpus()[0].model.trim()}, Linux ${release()}, Node ${process.versions.node}`;
}

/** Compiles a workload into the cache; returns the program's path. */
export function workload(name: string): string {
  const dir = join(homedir(), '.cache', 'ftrace-exporter', 'bench');
  mkdirSync(dir, { recursive: true });
  const program = join(dir, name);
  execFileSync('gcc', ['-O2', '-o', program, join(root, 'bench', 'workloads', `${name}.c`)]);
  return program;
}

export function have(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** CPU seconds of a process by thread name, from the scheduler's nanosecond counts. */
export function cpuSecondsByThread(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    try {
      const name = readFileSync(`/proc/${pid}/task/${tid}/comm`, 'latin1').trim();
      const ns = Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]);
      seconds.set(name, (seconds.get(name) ?? 0) + ns / 1e9);
    } catch {
      // The thread has just ended.
    }
  }
  return seconds;
}

/** CPU seconds that all threads of a process have used. */
export function cpuSeconds(pid: number): number {
  return [...cpuSecondsByThread(pid).values()].reduce((sum, seconds) => sum + seconds, 0);
}

/** How often a process has called `read` or `pread`. */
export function readCalls(pid: number): number {
  return Number(/^syscr: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1]);
}

export function residentBytes(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kb) * 1024;
}

export interface RunningAgent {
  pid: number;
  url: string;
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts the agent with this config (YAML) on a free port and waits until it is ready. */
export async function startAgent(config: string, flags: readonly string[] = []): Promise<RunningAgent> {
  const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-bench-'));
  const port = 20_000 + (process.pid % 20_000);
  writeFileSync(join(dir, 'config.yaml'), `instance: ftrace-exporter-bench-${process.pid}\n${config}`);
  const args = [join(root, 'bin', 'ftrace-exporter.js'), 'run', '--config.file', join(dir, 'config.yaml')];
  args.push('--web.listen-address', `127.0.0.1:${port}`, '--state.dir', dir, ...flags);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null || tries > 600) {
      child.kill('SIGTERM');
      throw new Error(`the agent did not become ready:\n${log}`);
    }
    const ready = await fetch(`${url}/readyz`)
      .then((r) => r.ok)
      .catch(() => false);
    if (ready) break;
    await sleep(50);
  }
  return {
    pid: child.pid as number,
    url,
    metrics: () => fetch(`${url}/metrics`).then((r) => r.text()),
    stop: async () => {
      await ended(child, 'SIGTERM');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Sends a signal to a process that the benchmark started, and waits until the process has exited. */
export async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await exit;
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Value of one series in an exposition; 0 if it is absent. */
export function seriesValue(text: string, series: string): number {
  const line = text.split('\n').find((l) => l.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}

/** Sum of all series of a name. */
export function sumOf(text: string, name: string): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
