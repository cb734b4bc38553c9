/**
 * Counts the losses of one buffer. Compares the number of events that the kernel reports as read with the
 * number that this agent has read. If the kernel's number is higher, another reader took events. If it is
 * lower, another user emptied the buffer, because this resets the kernel's counters. The counted losses never
 * decrease.
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
  /**
   * The kernel's count of read events minus the agent's count, at the last check. A new loss changes this
   * difference.
   */
  offset: number;
  givenUp: number;
  loss: CpuLoss;
  /** The kernel's counters at the last check. */
  kernel: KernelCounts;
}

export type Finding = 'even' | 'taken' | 'cleared';

/**
 * What this agent read from a CPU's buffer: the number of events, and the number of parts (pages or text
 * lines) that it could not decode completely (`givenUp`).
 */
export interface OwnCount {
  events: number;
  givenUp: number;
}

export interface LossLedger {
  /**
   * Compares the kernel's count of read events with the agent's count at the same moment, and counts a
   * difference as a loss. The first call for a CPU only stores the counts and returns `even`.
   */
  look(cpu: number, readEvents: number, own: OwnCount): Finding;
  /** Counts one interruption of recording, for all CPUs. */
  pause(): void;
  /**
   * Adds the growth of the kernel's loss counters to the CPU's losses, and returns the CPU's total losses.
   */
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
        // The agent has not counted the events in parts that it could not decode, so the difference is not a
        // loss.
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

/** Growth of a counter. If the counter is lower than before, it was reset to zero. */
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
