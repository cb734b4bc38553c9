/**
 * Measures what tracing costs a traced program. A loop pinned to one CPU runs untraced, under our agent and under the
 * usual eBPF tools, in alternating rounds; the CPU time of the tracing program counts as well. Needs root, gcc,
 * bpftrace and libbpf-tools.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { benchRecording } from './recording.ts';
import { cpuSeconds, ended, have, median, sleep, startAgent, workload } from './support.ts';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7);

interface Contender {
  name: string;
  /** Runs the workload under the tool. Returns nanoseconds per operation, including the tool's own CPU time. */
  round(): Promise<number>;
}

/** Runs a workload on CPU 0, and returns the nanoseconds per operation that the workload prints. */
function pinned(program: string, n: number): number {
  return Number(execFileSync('taskset', ['-c', '0', program, String(n)], { encoding: 'utf8' }));
}

function untraced(program: string, n: number): Contender {
  return { name: 'untraced', round: async () => pinned(program, n) };
}

/** Runs our agent with this config. Starts it again for each round, as `tool` does. */
function agent(name: string, config: string, program: string, n: number): Contender {
  return {
    name,
    round: async () => {
      const running = await startAgent(config);
      try {
        await sleep(500);
        const before = cpuSeconds(running.pid);
        const perOperation = pinned(program, n);
        await sleep(300);
        return perOperation + ((cpuSeconds(running.pid) - before) * 1e9) / n;
      } finally {
        await running.stop();
      }
    },
  };
}

/** A tool that runs beside the workload until the workload has ended. */
function tool(name: string, command: readonly string[], program: string, n: number): Contender {
  return {
    name,
    round: async () => {
      const child: ChildProcess = spawn(command[0], command.slice(1), { stdio: 'ignore' });
      try {
        // bpftrace needs a second or two to compile and attach.
        await sleep(3000);
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        const before = cpuSeconds(child.pid as number);
        const perOperation = pinned(program, n);
        return perOperation + ((cpuSeconds(child.pid as number) - before) * 1e9) / n;
      } finally {
        await ended(child, 'SIGINT');
      }
    },
  };
}

async function compare(title: string, contenders: readonly Contender[], ours: string): Promise<void> {
  const results = new Map(contenders.map((contender) => [contender.name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const contender of contenders) results.get(contender.name)?.push(await contender.round());
  }
  console.log(`\n${title}, ${ROUNDS} alternating rounds`);
  console.log(`${'under'.padEnd(34)} ns/op median   min    max   ${ours} / it (median of rounds)`);
  const own = results.get(ours) ?? [];
  for (const [name, values] of results) {
    const ratio = median(values.map((value, round) => own[round] / value));
    const [mid, low, high] = [median(values), Math.min(...values), Math.max(...values)].map((v) =>
      v.toFixed(0),
    );
    console.log(
      `${name.padEnd(34)} ${mid.padStart(9)} ${low.padStart(9)} ${high.padStart(6)}   ${ratio.toFixed(2)}`,
    );
  }
}

const SYSCALL_HIST = `
tracepoint:raw_syscalls:sys_enter { @start[tid] = nsecs; @id[tid] = args->id; }
tracepoint:raw_syscalls:sys_exit /@start[tid]/ { @us[@id[tid]] = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]); delete(@id[tid]); }`;

export async function benchTracedCost(): Promise<void> {
  benchRecording();
  for (const program of ['gcc', 'taskset', 'bpftrace', 'syscount', 'runqlat']) {
    if (!have(program)) {
      console.log(`\ncost to a traced program: not measured, ${program} is not installed`);
      return;
    }
  }
  const getppid = workload('getppid');
  const calls = 3_000_000;
  await compare(
    'getppid loop on CPU 0, tool CPU counted in',
    [
      untraced(getppid, calls),
      agent(
        'syscalls',
        'probes: { syscalls: {}, sched: {enabled: false}, block: {enabled: false}, irq: {enabled: false}, softirq: {enabled: false} }\n',
        getppid,
        calls,
      ),
      tool('syscount -L', ['syscount', '-L'], getppid, calls),
      tool('bpftrace hist()', ['bpftrace', '-e', SYSCALL_HIST], getppid, calls),
    ],
    'syscalls',
  );
  const handover = workload('handover');
  const handovers = 300_000;
  await compare(
    'pipe hand-overs on CPU 0, tool CPU counted in',
    [
      untraced(handover, handovers),
      agent(
        'sched',
        'probes: { sched: {}, block: {enabled: false}, irq: {enabled: false}, softirq: {enabled: false} }\n',
        handover,
        handovers,
      ),
      tool('runqlat', ['runqlat'], handover, handovers),
    ],
    'sched',
  );
}

if (import.meta.main) await benchTracedCost();
