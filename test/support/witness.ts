/**
 * Counts in an instance of its own how often certain threads made a syscall, so that a test can be exact on a machine
 * where other programs make the syscall too.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onlineCpus } from '../../src/host/cpus.ts';
import { parseStats } from '../../src/tracefs/stats.ts';
import { type Bench, TRACEFS } from './agent.ts';

export interface Witness {
  /** Calls so far. */
  count(): number;
  remove(): void;
}

/** Counts starts or ends of these syscalls: of all threads except those in `not`, or only of those in `only`. */
export function watch(
  bench: Bench,
  syscalls: readonly string[],
  whose: { not: readonly number[] } | { only: readonly number[] },
  side: 'enter' | 'exit' = 'enter',
): Witness {
  const dir = join(TRACEFS, 'instances', bench.instanceName('w'));
  mkdirSync(dir);
  const put = (file: string, text: string) => writeFileSync(join(dir, file), text);
  put('tracing_on', '0');
  put('buffer_size_kb', '64');
  const filter =
    'not' in whose
      ? whose.not.map((pid) => `common_pid != ${pid}`).join(' && ')
      : whose.only.map((pid) => `common_pid == ${pid}`).join(' || ');
  for (const syscall of syscalls) {
    put(`events/syscalls/sys_${side}_${syscall}/filter`, filter);
    put(`events/syscalls/sys_${side}_${syscall}/enable`, '1');
  }
  put('tracing_on', '1');
  // Nobody reads the buffer, so each event is still in it or was overwritten.
  const count = () =>
    onlineCpus().reduce((sum, cpu) => {
      const stats = parseStats(readFileSync(join(dir, `per_cpu/cpu${cpu}/stats`), 'utf8'), cpu);
      return sum + stats.entries + stats.overrun;
    }, 0);
  return { count, remove: () => rmdirSync(dir) };
}
