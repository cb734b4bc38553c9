/** Counts events that a buffer has lost. */
import type { CpuLoss } from '../../model/status.ts';
import { openCpuStats } from '../../tracefs/cpu-stats.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { makeLossLedger } from '../plan/loss-ledger.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import type { TickRule } from '../plan/sizes.ts';
import type { EventStream } from '../stream/stream.ts';
import type { Shared } from './shared.ts';

const LOG_EVERY_MS = 60_000;

export interface Losses {
  /** Call this before the agent empties the buffer, so that the next `look` does not log another user's action. */
  emptiedByAgent(): void;
  /** Counts events that other users have read or deleted on these CPUs. */
  look(cpus: readonly number[]): void;
  /** Does the same as `look` for one CPU. `loss` includes the kernel's loss counters. */
  read(cpu: number): { loss: CpuLoss | undefined; unreadBytes: number };
  /** Called when recording was or may have been interrupted. */
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

/** Returns a function that counts the kprobe hits that the kernel has missed. */
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
