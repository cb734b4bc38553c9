/** The agent's own threads, by host pid: one bit a pid, so that the question costs one load an event. */
const PIDS = 4194304;

export interface OwnThreads {
  has(pid: number): boolean;
  add(pids: readonly number[]): void;
  list(): number[];
}

export function makeOwnThreads(): OwnThreads {
  const bits = new Uint8Array(PIDS / 8);
  const known = new Set<number>();
  return {
    has: (pid) => (bits[pid >> 3] & (1 << (pid & 7))) !== 0,
    add: (pids) => {
      for (const pid of pids) {
        if (!(pid > 0 && pid < PIDS)) continue;
        known.add(pid);
        bits[pid >> 3] |= 1 << (pid & 7);
      }
    },
    list: () => [...known],
  };
}
