/** The agent's own threads, by host pid: one bit per pid, so that a check costs one load per event. */
const PIDS = 4194304;

export interface OwnThreads {
  has(pid: number): boolean;
  add(pids: readonly number[]): void;
  list(): number[];
}

export function makeOwnThreads(): OwnThreads {
  const bits = new Uint8Array(PIDS / 8);
  const ownPids = new Set<number>();
  return {
    has: (pid) => (bits[pid >> 3] & (1 << (pid & 7))) !== 0,
    add: (pids) => {
      for (const pid of pids) {
        if (!(pid > 0 && pid < PIDS)) continue;
        ownPids.add(pid);
        bits[pid >> 3] |= 1 << (pid & 7);
      }
    },
    list: () => [...ownPids],
  };
}
