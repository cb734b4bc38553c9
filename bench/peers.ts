/**
 * Other tools that answer the same questions, beside our agent in one run: CPU time, memory and lost events. Tools that
 * are not installed get a line with the reason. Needs root and gcc.
 */
import { execFileSync } from 'node:child_process';
import { compare, sum, type Tool } from './contenders.ts';
import { BPFTRACE_SYSCALLS, CALLS, HANDOVERS, RUNQLAT, SYSCOUNT } from './traced-cost.ts';

/** trace-cmd writes all events to a file; somebody evaluates it later. */
function traceCmd(...events: string[]): Tool {
  return {
    name: 'trace-cmd record',
    command: ['trace-cmd', 'record', '-d', '-o', '$OUT', ...events.flatMap((event) => ['-e', event])],
    lost: (_output, file) => {
      const stats = execFileSync('trace-cmd', ['report', '--stat', '-i', file], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      return sum(
        [...stats.matchAll(/^(?:overrun|dropped events): (\d+)/gm)].map(([, value]) => Number(value)),
      );
    },
  };
}

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
    traceCmd('raw_syscalls'),
  ]);
  await compare(HANDOVERS, 'sched', [
    RUNQLAT,
    { name: 'perf sched record', command: ['perf', 'sched', 'record', '-o', '$OUT'], lost: lostByPerf },
    traceCmd('sched:sched_switch', 'sched:sched_wakeup', 'sched:sched_wakeup_new'),
  ]);
  await compare(READS, 'block', [
    { name: 'biolatency', command: ['biolatency'] },
    traceCmd('block:block_rq_insert', 'block:block_rq_issue', 'block:block_rq_complete'),
  ]);
  await compare(READS, 'irq', [
    { name: 'hardirqs -d', command: ['hardirqs', '-d'] },
    traceCmd('irq:irq_handler_entry', 'irq:irq_handler_exit'),
  ]);
  await compare(DATAGRAMS, 'softirq', [
    { name: 'softirqs -d', command: ['softirqs', '-d'] },
    traceCmd('irq:softirq_raise', 'irq:softirq_entry', 'irq:softirq_exit'),
  ]);
}

if (import.meta.main) await benchPeers();
