/** What our agent costs a traced program, beside the usual eBPF tools. Needs root, gcc, bpftrace and libbpf-tools. */
import { compare, type Tool, type Work } from './contenders.ts';
import { benchRecording } from './recording.ts';

const SYSCALL_HIST = `
tracepoint:raw_syscalls:sys_enter { @start[tid] = nsecs; @id[tid] = args->id; }
tracepoint:raw_syscalls:sys_exit /@start[tid]/ { @us[@id[tid]] = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]); delete(@id[tid]); }`;

export const CALLS: Work = { title: 'getppid loop', program: 'getppid', operations: 3_000_000 };
export const HANDOVERS: Work = { title: 'pipe hand-overs', program: 'handover', operations: 300_000 };
export const SYSCOUNT: Tool = { name: 'syscount -L', command: ['syscount', '-L'] };
export const BPFTRACE_SYSCALLS: Tool = {
  name: 'bpftrace hist()',
  command: ['bpftrace', '-e', SYSCALL_HIST],
  lost: (output) => Number(/Lost (\d+) events/.exec(output)?.[1] ?? 0),
};
export const RUNQLAT: Tool = { name: 'runqlat', command: ['runqlat'] };

export async function benchTracedCost(): Promise<void> {
  benchRecording();
  await compare(CALLS, 'syscalls', [SYSCOUNT, BPFTRACE_SYSCALLS]);
  await compare(HANDOVERS, 'sched', [RUNQLAT]);
}

if (import.meta.main) await benchTracedCost();
