/**
 * Other tools that answer the same questions, beside our agent in one run: CPU time, memory and lost events. Tools that
 * are not installed get a line with the reason. trace-cmd is not among them, because it records at the top level of
 * tracefs, which other programs may use. Needs root and gcc.
 */
import { compare, sum } from './contenders.ts';
import { BPFTRACE_SYSCALLS, CALLS, HANDOVERS, RUNQLAT, SYSCOUNT } from './traced-cost.ts';

/** perf prints how many events it lost. */
const lostByPerf = (output: string) =>
  sum([...output.matchAll(/(?:LOST|lost) (\d+)/g)].map(([, value]) => Number(value)));

const READS = { title: 'direct reads of 4 KiB', program: 'directread', operations: 20_000 };
const DATAGRAMS = { title: 'datagrams over loopback', program: 'datagrams', operations: 300_000 };

export async function benchPeers(): Promise<void> {
  await compare(CALLS, 'syscalls', [
    SYSCOUNT,
    BPFTRACE_SYSCALLS,
    { name: 'perf trace -s', command: ['perf', 'trace', '-a', '-s'], lost: lostByPerf },
  ]);
  await compare(HANDOVERS, 'sched', [
    RUNQLAT,
    { name: 'perf sched record', command: ['perf', 'sched', 'record', '-o', '$OUT'], lost: lostByPerf },
  ]);
  await compare(READS, 'block', [{ name: 'biolatency', command: ['biolatency'] }]);
  await compare(READS, 'irq', [{ name: 'hardirqs -d', command: ['hardirqs', '-d'] }]);
  await compare(DATAGRAMS, 'softirq', [{ name: 'softirqs -d', command: ['softirqs', '-d'] }]);
}

if (import.meta.main) await benchPeers();
