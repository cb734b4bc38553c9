/**
 * Counts the losses of one buffer, also those that other users of tracefs cause by reading or emptying it. Emptying a
 * buffer resets the kernel's counters; the counted losses never decrease.
 */
import type { BufferStats } from '../../model/source.ts';
import type { CpuLoss, LossReport } from '../../model/status.ts';

export const NOTHING_LOST: CpuLoss = {
  overrun: 0,
  commitOverrun: 0,
  dropped: 0,
  taken: 0,
  cleared: 0,
  paused: 0,
};

type KernelCounts = Pick<CpuLoss, 'overrun' | 'commitOverrun' | 'dropped'>;

interface Account {
  /** The kernel's count of read events minus the agent's count, at the last check. */
  offset: number;
  givenUp: number;
  loss: CpuLoss;
  /** The kernel's counters at the last check. */
  kernel: KernelCounts;
}

export type Finding = 'even' | 'taken' | 'cleared';

/** What this agent has read from one CPU's buffer. `givenUp`: see `EventStream`. */
export interface OwnCount {
  events: number;
  givenUp: number;
}

export interface LossLedger {
  /**
   * Compares the kernel's count of read events with the agent's count at the same moment, and counts a changed
   * difference as a loss. The first call for a CPU only stores the counts.
   */
  look(cpu: number, readEvents: number, own: OwnCount): Finding;
  /** Counts one interruption of recording on all CPUs. */
  pause(): void;
  /** Adds the growth of the kernel's loss counters, and returns the CPU's total losses. */
  add(cpu: number, stats: BufferStats): CpuLoss;
}

export function makeLossLedger(): LossLedger {
  const accounts = new Map<number, Account>();
  let paused = 0;
  const open = (cpu: number, offset: number, givenUp: number): Account => {
    const none = { overrun: 0, commitOverrun: 0, dropped: 0 };
    const account = { offset, givenUp, loss: { ...NOTHING_LOST }, kernel: none };
    accounts.set(cpu, account);
    return account;
  };

  return {
    look: (cpu, readEvents, { events, givenUp }) => {
      const surplus = readEvents - events;
      const account = accounts.get(cpu);
      if (account === undefined) {
        open(cpu, surplus, givenUp);
        return 'even';
      }
      const change = surplus - account.offset;
      account.offset = surplus;
      if (account.givenUp !== givenUp) {
        // The agent's count lacks the events that it could not decode. They are not a loss.
        account.givenUp = givenUp;
        return 'even';
      }
      if (change > 0) {
        account.loss.taken += change;
        return 'taken';
      }
      if (change < 0) {
        account.loss.cleared++;
        return 'cleared';
      }
      return 'even';
    },
    pause: () => {
      paused++;
    },
    add: (cpu, stats) => {
      const account = accounts.get(cpu) ?? open(cpu, 0, 0);
      const now = {
        overrun: stats.overrun,
        commitOverrun: stats.commitOverrun,
        dropped: stats.droppedEvents,
      };
      for (const name of ['overrun', 'commitOverrun', 'dropped'] as const)
        account.loss[name] += grownBy(account.kernel[name], now[name]);
      account.kernel = now;
      return { ...account.loss, paused };
    },
  };
}

/** A value lower than before means that the counter was reset to zero. */
function grownBy(before: number, now: number): number {
  return now >= before ? now - before : now;
}

export function lossOf(
  buffer: string,
  readings: readonly { cpu: number; events: number; loss: CpuLoss | undefined }[],
): LossReport[] {
  return readings.map(({ cpu, events, loss }) => ({
    buffer,
    cpu,
    read: events,
    ...(loss ?? NOTHING_LOST),
  }));
}
