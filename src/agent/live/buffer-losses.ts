/** Counts events that a buffer has lost: the kernel dropped or missed them, or other users read or deleted them. */
import type { CpuLoss } from '../../model/status.ts';
import { openCpuStats } from '../../tracefs/cpu-stats.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { makeLossLedger } from '../plan/loss-ledger.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import type { TickRule } from '../plan/sizes.ts';
import type { EventStream } from '../stream/stream.ts';
import type { Shared } from './shared.ts';

/** Minimum time between two log lines about other users, and between two log lines about missed kprobe hits. */
const LOG_EVERY_MS = 60_000;

export interface Losses {
  /**
   * Call this before the agent makes the kernel empty the buffer. The next `look` then does not log that another user
   * has emptied the buffer.
   */
  emptiedByAgent(): void;
  /**
   * Compares the kernel's counts of read events on these CPUs with the number of events that this agent has read.
   * Counts changes of the difference as losses.
   */
  look(cpus: readonly number[]): void;
  /**
   * Compares the counts of one CPU in the same way. Returns the CPU's losses, including the kernel's loss counters, and
   * the number of unread bytes.
   */
  read(cpu: number): { loss: CpuLoss | undefined; unreadBytes: number };
  /** Called when recording was interrupted or may have been interrupted. */
  pause(): void;
  close(): void;
}

export function openLosses(
  { name, instance, shared }: { name: string; instance: Instance; shared: Shared },
  stream: EventStream | undefined,
  voidOpen: () => void,
): Losses {
  const counts = openCpuStats(instance.dir);
  const ledger = makeLossLedger();
  let logAtMs = 0;
  let isByAgent = false;

  const lookAt = (cpu: number, readEvents: number): void => {
    const pending = stream?.pendingEvents(cpu);
    if (stream === undefined || pending === undefined) return;
    const own = { events: stream.events(cpu) + pending, givenUp: stream.givenUp(cpu) };
    const finding = ledger.look(cpu, readEvents, own);
    if (finding === 'even') return;
    voidOpen();
    if (performance.now() < logAtMs || (finding === 'cleared' && isByAgent)) return;
    logAtMs = performance.now() + LOG_EVERY_MS;
    shared.log.warn(
      { buffer: name, cpu, instance: instance.dir },
      finding === 'taken'
        ? 'another reader takes events from this buffer; the agent counts these events as lost'
        : 'another user has emptied this buffer, and an unknown number of events was lost',
    );
  };

  return {
    emptiedByAgent: () => {
      isByAgent = true;
    },
    look: (cpus) => {
      for (const cpu of cpus) lookAt(cpu, counts.readEvents(cpu));
      isByAgent = false;
    },
    read: (cpu) => {
      const stats = counts.stats(cpu);
      lookAt(cpu, stats.readEvents);
      return { loss: ledger.add(cpu, stats), unreadBytes: stats.bytes };
    },
    pause: ledger.pause,
    close: counts.close,
  };
}

export function readingOf(cpu: number, stream: EventStream, losses: Losses, rule: TickRule): BufferReading {
  const counts = { events: stream.events(cpu), bytes: stream.bytesRead(cpu) };
  return { cpu, ...counts, ...losses.read(cpu), capacityBytes: rule.bufferBytesPerCpu };
}

/** Returns a function that counts kprobe hits as lost events if the kernel has missed them. */
export function countMissedHits(
  { missed, shared }: { missed?: (() => ReadonlyMap<string, number>) | undefined; shared: Shared },
  plan: () => EventPlan,
  now: () => number,
): () => void {
  let logAtMs = 0;
  return () => {
    for (const [probe, count] of missed?.() ?? []) {
      shared.self.lostBefore(probe, 'missed', count);
      plan().onLossOf(probe, now());
      if (performance.now() < logAtMs) continue;
      logAtMs = performance.now() + LOG_EVERY_MS;
      shared.log.warn(
        { probe, missed: count },
        'the kernel missed hits of a kprobe; the agent counts them as lost events',
      );
    }
  };
}
