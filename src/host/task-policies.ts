/**
 * Finds tasks with SCHED_BATCH or SCHED_IDLE in /proc/TID/stat. `refresh` reads /proc for tasks that `ask` has marked,
 * so the hot path only loads a byte. Reads a class again after some seconds, because no event reports a change.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../model/errors.ts';
import { BATCH, IDLE, NORMAL, REALTIME, type TaskClasses } from '../model/task-classes.ts';

/** PID_MAX_LIMIT (include/linux/threads.h). The table needs physical memory only for pages that were written. */
const PIDS = 4194304;
const MOST_READS = 64;
/** Low bits of a byte: the class. High bits: the generation of the last request; 0 if there was none. */
const CLASS_BITS = 2;
const CLASS_MASK = (1 << CLASS_BITS) - 1;
const GENERATIONS = 255 >> CLASS_BITS;
/** Number of refreshes after which `ask` marks the same task again. */
const GENERATION_REFRESHES = 10;
/** Classes by policy (include/uapi/linux/sched.h): SCHED_OTHER, FIFO, RR, BATCH, unused, IDLE, DEADLINE. */
const POLICY_CLASSES = [NORMAL, REALTIME, REALTIME, BATCH, NORMAL, IDLE, REALTIME];
const MOST_RECENT = 1024;
/** Index of field 41 among the fields after the name. The name can contain spaces, so it is cut off first. */
const POLICY = 41 - 3;

export interface TaskPolicies extends TaskClasses {
  /** Sets whether /proc has the trace's thread ids. Before the first call with true, no class is read. */
  procIsHosts(isHosts: boolean): void;
  /** Returns why batch and idle tasks count as normal; '' if they are recognised. */
  problem(): string;
}

export function makeTaskPolicies(procDir = '/proc'): TaskPolicies {
  const table = new Uint8Array(PIDS);
  const requested = new Int32Array(MOST_READS);
  let count = 0;
  let refreshes = 0;
  let generation = 1;
  let isHosts = false;

  /** Classes that `now` has read, by pid. Each is valid until the refresh with the number `until`. */
  const recent = new Map<number, { taskClass: number; until: number }>();

  const classOf = (pid: number): number => {
    try {
      const stat = readFileSync(join(procDir, String(pid), 'stat'), 'latin1');
      const policy = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[POLICY]);
      return POLICY_CLASSES[policy] ?? NORMAL;
    } catch (error) {
      if (errnoOf(error) === '') throw error;
      // The task has ended, or is hidden.
      return NORMAL;
    }
  };

  return {
    of: (pid) => table[pid] & CLASS_MASK,
    ask: (pid) => {
      if (!isHosts || count === MOST_READS || pid <= 0 || pid >= PIDS) return;
      if (table[pid] >> CLASS_BITS === generation) return;
      table[pid] = (table[pid] & CLASS_MASK) | (generation << CLASS_BITS);
      requested[count++] = pid;
    },
    inherit: (pid, parent) => {
      table[pid] = table[parent];
    },
    now: (pid) => {
      if (!isHosts) return NORMAL;
      const answer = recent.get(pid);
      if (answer !== undefined && answer.until >= refreshes) return answer.taskClass;
      const taskClass = classOf(pid);
      if (recent.size >= MOST_RECENT) recent.clear();
      recent.set(pid, { taskClass, until: refreshes + GENERATION_REFRESHES });
      return taskClass;
    },
    refresh: () => {
      for (let i = 0; i < count; i++)
        table[requested[i]] = (generation << CLASS_BITS) | classOf(requested[i]);
      count = 0;
      if (++refreshes % GENERATION_REFRESHES === 0) generation = (generation % GENERATIONS) + 1;
    },
    procIsHosts: (is) => {
      isHosts = is;
    },
    problem: () => {
      if (!isHosts)
        return 'the agent runs in its own pid namespace: run it in the host’s (hostPID: true in a pod, --pid=host in a container)';
      try {
        readFileSync(join(procDir, '1', 'stat'));
        return '';
      } catch (error) {
        return `processes of other users are hidden (ProtectProc= of the unit, or hidepid= of /proc): ${errnoOf(error)}`;
      }
    },
  };
}
