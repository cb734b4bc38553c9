/** The drain loop: ticks on a timer whose pace follows the fastest-filling buffer. */
import type { DurationNs } from '../model/time.ts';
import { makeTraceClock } from './clock.ts';
import type { Pipeline } from './pipeline.ts';
import { nextTickNs, type TickRule } from './sizes.ts';

const CHORES_EVERY_NS = 1e9;
/** Rounds a tick may take: several times what a full buffer holds, so only a defect reaches it. */
const MOST_ROUNDS = 4096;

export interface DrainOptions {
  pipeline: Pipeline;
  rule: TickRule;
  cpus(): readonly number[];
  /** Time one tick took. */
  onTick(tookNs: DurationNs): void;
  /** About once a second, between ticks: hotplug, housekeeping of probes. */
  chores(): void;
  /** Reading failed for good. The loop has stopped. */
  onFailure(error: unknown): void;
}

export interface Drain {
  stop(): void;
  /** Present time between ticks. */
  tickNs(): DurationNs;
}

export function startDraining(options: DrainOptions): Drain {
  const { pipeline, rule } = options;
  const traceNow = makeTraceClock();
  const bytesBefore: number[] = [];
  let lastStart = traceNow();
  let choresAt = lastStart + CHORES_EVERY_NS;
  let tickNs = nextTickNs(rule, Number.POSITIVE_INFINITY);
  let timer: NodeJS.Timeout | undefined;

  /** Time the fastest-filling buffer takes to fill at the rate seen since the last tick. */
  const fastestFill = (elapsedNs: DurationNs): DurationNs => {
    let most = 0;
    for (const cpu of options.cpus()) {
      const bytes = pipeline.bytesRead(cpu);
      const grown = bytes - (bytesBefore[cpu] ?? 0);
      bytesBefore[cpu] = bytes;
      if (grown > most) most = grown;
    }
    return most === 0 ? Number.POSITIVE_INFINITY : (elapsedNs * rule.bufferBytesPerCpu) / most;
  };

  const tick = () => {
    const start = traceNow();
    try {
      pipeline.tick(start, MOST_ROUNDS);
      const end = traceNow();
      options.onTick(end - start);
      tickNs = nextTickNs(rule, fastestFill(start - lastStart));
      lastStart = start;
      if (end >= choresAt) {
        choresAt = end + CHORES_EVERY_NS;
        options.chores();
      }
      timer = setTimeout(tick, Math.max(0, (start + tickNs - traceNow()) / 1e6));
    } catch (error) {
      options.onFailure(error);
    }
  };
  timer = setTimeout(tick, tickNs / 1e6);
  return { stop: () => clearTimeout(timer), tickNs: () => tickNs };
}
