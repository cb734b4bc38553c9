/**
 * Measures what tracing costs a traced program: the program runs untraced, under our agent and under other tools, in
 * alternating rounds. The tracing program's CPU time counts as well.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuSeconds, ended, have, median, sleep, startAgent, sumOf, workload } from './support.ts';

export const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7);
/** Compiling and attaching takes bpftrace a second or two. */
const ATTACH_MS = 3000;

/** A program in bench/workloads, pinned to CPU 0. It prints the CPU nanoseconds that each of its operations took. */
export interface Work {
  title: string;
  program: string;
  operations: number;
}

interface Measured {
  /** CPU nanoseconds per operation, including the tracing program's. */
  ns: number;
  /** Largest resident memory of the tracing program and its children, in MiB. */
  memory?: number;
  /** Events that the tracing program lost. Undefined if it does not report losses. */
  lost?: number | undefined;
}

export interface Contender {
  name: string;
  round(work: Work): Promise<Measured>;
}

/** Another tool. `$OUT` in an argument is a file for its output. */
export interface Tool {
  name: string;
  command: readonly string[];
  /** Number of lost events, from what the tool printed. Absent if it does not report losses. */
  lost?(output: string): number;
}

const WITHOUT = ['sched', 'block', 'irq', 'softirq'];

function pinned({ program, operations }: Work): number {
  return Number(execFileSync('taskset', ['-c', '0', program, String(operations)], { encoding: 'utf8' }));
}

export const untraced: Contender = { name: 'untraced', round: async (work) => ({ ns: pinned(work) }) };

/** Our agent with only this probe, and these options of it (YAML). It is started for each round, as the tools are. */
export function agentWith(probe: string, options = '{}'): Contender {
  const others = WITHOUT.filter((name) => name !== probe).map((name) => `${name}: {enabled: false}`);
  return {
    name: probe,
    round: async (work) => {
      const running = await startAgent(`probes: { ${[`${probe}: ${options}`, ...others].join(', ')} }\n`);
      try {
        await sleep(500);
        const before = cpuSeconds(running.pid);
        const ns = pinned(work);
        await sleep(300);
        const own = ((cpuSeconds(running.pid) - before) * 1e9) / work.operations;
        const memory = peakMiB([running.pid]);
        return {
          ns: ns + own,
          memory,
          lost: sumOf(await running.metrics(), 'ftrace_exporter_events_lost_total'),
        };
      } finally {
        await running.stop();
      }
    },
  };
}

/** A tool that runs beside the workload until the workload has ended. */
export function running({ name, command, lost }: Tool): Contender {
  return {
    name,
    round: async (work) => {
      const dir = mkdtempSync(join(tmpdir(), 'ftrace-exporter-bench-'));
      const file = join(dir, 'out');
      const [program, ...args] = command.map((word) => word.replace('$OUT', file));
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: dir });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      try {
        await sleep(ATTACH_MS);
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${output}`);
        const pids = family(child);
        const before = sum(pids.map(cpuSeconds));
        const ns = pinned(work);
        const own = ((sum(pids.map(cpuSeconds)) - before) * 1e9) / work.operations;
        const memory = peakMiB(pids);
        await ended(child, 'SIGINT');
        return { ns: ns + own, memory, lost: lost?.(output) };
      } finally {
        await ended(child, 'SIGKILL');
        rmSync(dir, { recursive: true, force: true });
      }
    },
  };
}

/** Prints a table. Tools that are not installed get a line with the reason. */
export async function compare(work: Work, ours: string, tools: readonly Tool[]): Promise<void> {
  const installed = tools.filter(({ name, command: [program] }) => {
    if (!have(program)) console.log(`\n${name}: not measured, ${program} is not installed`);
    return have(program);
  });
  const contenders = new Set([untraced, agentWith(ours), ...installed.map(running)]);
  const results = new Map<string, Measured[]>();
  const compiled = { ...work, program: workload(work.program) };
  for (let round = 0; round < ROUNDS; round++) {
    for (const contender of contenders) {
      try {
        const measured = await contender.round(compiled);
        results.set(contender.name, [...(results.get(contender.name) ?? []), measured]);
      } catch (error) {
        console.log(`\n${contender.name}: not measured: ${error}`);
        contenders.delete(contender);
        results.delete(contender.name);
      }
    }
  }
  console.log(`\n${work.title} on CPU 0, tool CPU counted in, ${ROUNDS} alternating rounds`);
  console.log(
    `${'under'.padEnd(34)} ns/op median   min    max   ${ours} / it (median of rounds)   memory MiB   events lost`,
  );
  const own = (results.get(ours) ?? []).map(({ ns }) => ns);
  for (const [name, all] of results) {
    const values = all.map(({ ns }) => ns);
    const ratio = median(values.map((value, round) => own[round] / value));
    const [mid, low, high] = [median(values), Math.min(...values), Math.max(...values)].map((v) =>
      v.toFixed(0),
    );
    const memory =
      all[0].memory === undefined ? '' : Math.max(...all.map((one) => one.memory ?? 0)).toFixed(0);
    const lost = all[0].lost === undefined ? 'not reported' : String(sum(all.map((one) => one.lost ?? 0)));
    console.log(
      `${name.padEnd(34)} ${mid.padStart(9)} ${low.padStart(9)} ${high.padStart(6)}   ${ratio.toFixed(2).padEnd(32)} ${memory.padStart(7)}   ${name === untraced.name ? '' : lost}`,
    );
  }
}

/** A process and its children. */
function family({ pid = 0 }: ChildProcess): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
    readFileSync(`/proc/${pid}/task/${tid}/children`, 'latin1').split(' ').filter(Boolean),
  );
  return [pid, ...children.map(Number)];
}

function peakMiB(pids: readonly number[]): number {
  const kb = pids.map(
    (pid) => /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1],
  );
  return sum(kb.map(Number)) / 1024;
}

export const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
