/**
 * Remembers the host pids of the agent's own threads. Uses an array with one byte per possible pid, so that a check
 * needs only one memory access.
 */
const PIDS = 4194304;

export interface OwnThreads {
  has(pid: number): boolean;
  add(pids: readonly number[]): void;
  list(): number[];
}

export function makeOwnThreads(): OwnThreads {
  const isOwn = new Uint8Array(PIDS);
  const ownPids = new Set<number>();
  return {
    has: (pid) => isOwn[pid] === 1,
    add: (pids) => {
      for (const pid of pids) {
        if (!(pid > 0 && pid < PIDS)) continue;
        ownPids.add(pid);
        isOwn[pid] = 1;
      }
    },
    list: () => [...ownPids],
  };
}
