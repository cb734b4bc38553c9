/**
 * An instance that only watches: how often did anybody but these processes make a syscall? Lets a test that counts
 * a syscall be exact on a machine where others make it too.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onlineCpus } from '../../src/host/cpus.ts';
import { type Bench, TRACEFS } from './agent.ts';

export interface Witness {
  /** Calls so far by processes that are not ours. */
  others(): number;
  remove(): void;
}

/** Watches `sys_enter_NAME` of every process but `pids`. */
export function watchOthers(bench: Bench, syscall: string, pids: readonly number[]): Witness {
  const dir = join(TRACEFS, 'instances', bench.instanceName('w'));
  mkdirSync(dir);
  const put = (file: string, text: string) => writeFileSync(join(dir, file), text);
  put('buffer_size_kb', '64');
  put(`events/syscalls/sys_enter_${syscall}/filter`, pids.map((pid) => `common_pid != ${pid}`).join(' && '));
  put(`events/syscalls/sys_enter_${syscall}/enable`, '1');
  put('tracing_on', '1');
  return {
    others: () => {
      // `trace` is not read, so whatever was not overwritten is still there.
      const count = (cpu: number, name: string) =>
        Number(
          new RegExp(`^${name}: (\\d+)$`, 'm').exec(
            readFileSync(join(dir, `per_cpu/cpu${cpu}/stats`), 'utf8'),
          )?.[1],
        );
      let total = 0;
      for (const cpu of onlineCpus()) total += count(cpu, 'entries') + count(cpu, 'overrun');
      return total;
    },
    remove: () => rmdirSync(dir),
  };
}
