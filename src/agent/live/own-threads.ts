/** Host pids of the agent's own threads. One byte per possible pid makes a check a single memory access. */
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
