/**
 * Counts one buffer's losses. Compares how many events the kernel reports as read with how many this agent read: more
 * means that another reader took some; fewer means that somebody emptied the buffer, which resets the kernel's counts
 * to zero. The sums returned here never decrease.
 */
import type { BufferStats } from '../../model/source.ts';
import type { LossReport } from '../../model/status.ts';

/** Losses of one CPU's buffer since the start. */
export interface CpuLoss {
  overrun: number;
  commitOverrun: number;
  dropped: number;
  /** Events that another reader took. */
  taken: number;
  /** How often the buffer was emptied. How many events it held is not known. */
  cleared: number;
  /** How often recording was interrupted, or may have been. */
  paused: number;
}

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
  /** The kernel's count of read events minus the agent's, from earlier events. */
  offset: number;
  givenUp: number;
  loss: CpuLoss;
  /** Counts at the last check. */
  kernel: KernelCounts;
}

export type Finding = 'even' | 'taken' | 'cleared';

/** One CPU's events that this agent read, processed or not, and how often a part could not be counted. */
export interface OwnCount {
  events: number;
  givenUp: number;
}

export interface LossLedger {
  /** `readEvents` is the kernel's count at the same moment. The first call for a CPU always returns `even`. */
  look(cpu: number, readEvents: number, own: OwnCount): Finding;
  /** Recording was interrupted, on all CPUs. */
  pause(): void;
  /** Adds the kernel's statistics to the sums and returns all sums. */
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
        // Events of pages that could not be decoded are missing in the agent's count, and their number is not known.
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

/** Growth of a count that restarts at zero when it is lower than before. */
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
