/**
 * The drain loop. Each tick drains (reads) all buffers. The buffer that fills fastest sets the time to the next tick.
 */
import type { DurationNs, TimestampNs } from '../../model/time.ts';
import { LONGEST_QUIET_NS, nextTickNs, type TickRule } from '../plan/sizes.ts';
import { makeTraceClock } from '../stream/clock.ts';
import type { EventStream } from '../stream/stream.ts';

const CHORES_EVERY_NS = 1e9;
/** Rounds per tick. A round reads a few pages of the CPUs that are furthest behind. */
export const MOST_ROUNDS = 4096;

export interface Drained {
  stream: EventStream;
  rule: TickRule;
  cpus(): readonly number[];
  /** Called when reading this stream has failed permanently. If absent, the whole loop stops. */
  onFailure?(error: unknown): void;
}

export interface DrainOptions {
  buffers: readonly Drained[];
  /** Called at the start of each tick. inotify has then reported all writes from before the tick's start. */
  before(): void;
  /** `sinceLastNs`: time between the starts of the previous tick and this tick. */
  onTick(tookNs: DurationNs, sinceLastNs: DurationNs): void;
  /** Called about once a second, between ticks. */
  chores(): void;
  /** Called when reading has failed permanently and the loop has stopped. */
  onFailure(error: unknown): void;
}

export interface Drain {
  follow(buffers: readonly Drained[]): void;
  stop(): void;
  /** Current interval between the starts of two ticks. */
  tickNs(): DurationNs;
}

/** Estimates the time until the first CPU's buffer is full, from the fill rate since the last call. */
function makeFillWatch({ stream, rule, cpus }: Drained): (elapsedNs: DurationNs) => DurationNs {
  const before: number[] = [];
  return (elapsedNs) => {
    let most = 0;
    for (const cpu of cpus()) {
      const bytes = stream.bytesRead(cpu);
      const grown = bytes - (before[cpu] ?? 0);
      before[cpu] = bytes;
      if (grown > most) most = grown;
    }
    return most === 0 ? Number.POSITIVE_INFINITY : (elapsedNs * rule.bufferBytesPerCpu) / most;
  };
}

export function startDraining(options: DrainOptions): Drain {
  const watch = (drained: Drained) => ({ drained, ...drained, fastestFill: makeFillWatch(drained) });
  let watched = options.buffers.map(watch);
  const traceNow = makeTraceClock();
  let lastStart = traceNow();
  let choresAt = lastStart + CHORES_EVERY_NS;
  /** Returns the time until the next tick. `elapsedNs`: time since the previous tick. */
  const pace = (elapsedNs: DurationNs): DurationNs =>
    watched.reduce(
      (soonest, { rule, fastestFill }) => Math.min(soonest, nextTickNs(rule, fastestFill(elapsedNs))),
      LONGEST_QUIET_NS,
    );
  let tickNs = pace(Number.POSITIVE_INFINITY);
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  let isStopped = false;

  /** Returns true if every stream has been read up to `start`. */
  const readAll = (start: TimestampNs): boolean => {
    let isDone = true;
    for (const buffer of watched) {
      try {
        if (!buffer.stream.tick(start, MOST_ROUNDS)) isDone = false;
      } catch (error) {
        if (buffer.onFailure === undefined) throw error;
        watched = watched.filter((other) => other !== buffer);
        buffer.onFailure(error);
      }
    }
    return isDone;
  };

  // The event loop polls between `begin` and `tick`, so inotify has reported all writes from before `start`.
  const begin = () => {
    const start = traceNow();
    immediate = setImmediate(() => tick(start));
  };

  const tick = (start: TimestampNs) => {
    try {
      options.before();
      const isDone = readAll(start);
      const end = traceNow();
      options.onTick(end - start, start - lastStart);
      tickNs = isDone ? pace(start - lastStart) : 0;
      lastStart = start;
      if (end >= choresAt) {
        choresAt = end + CHORES_EVERY_NS;
        options.chores();
      }
      if (!isStopped) timer = setTimeout(begin, Math.max(0, (start + tickNs - traceNow()) / 1e6));
    } catch (error) {
      options.onFailure(error);
    }
  };
  timer = setTimeout(begin, tickNs / 1e6);
  return {
    follow: (buffers) => {
      watched = buffers.map((one) => watched.find(({ drained }) => drained === one) ?? watch(one));
    },
    stop: () => {
      isStopped = true;
      clearTimeout(timer);
      clearImmediate(immediate);
    },
    tickNs: () => tickNs,
  };
}
