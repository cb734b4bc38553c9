/**
 * A running capture of the live kernel. A timer drains its buffers, and a check notices changes by other users. Answers
 * requests for snapshots, status and traces until it is stopped.
 */
import type { Log } from '../../model/log.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus, ProbeStatus } from '../../model/status.ts';
import { ownThreadIds } from '../../tracefs/threads.ts';
import type { Capture } from '../contract/capture.ts';
import type { PhaseCpu } from '../contract/pulse.ts';
import { lossOf } from '../plan/loss-ledger.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import type { SpanCapture } from '../slow/span-capture.ts';
import { threadCpuSeconds } from '../stream/clock.ts';
import { EVENTS_BUFFER, type LiveBuffer } from './buffer.ts';
import { type Drain, startDraining } from './drain.ts';
import type { KernelCounts } from './kernel-counts.ts';
import { makePhaseCpu } from './phase-cpu.ts';
import type { Shared } from './shared.ts';
import type { Tracers } from './tracers.ts';

/** Minimum time between two log lines about lost events. */
const LOSS_LOG_MS = 60_000;
/** Chores run once a second. Every fifth time, they also look for changes that the kernel does not report. */
const CHECK_EVERY = 5;

export interface LiveOptions {
  log: Log;
  /** Asks the main thread to write a text to a trace marker, to learn the main thread's id. */
  markFromMain(file: string, text: string): Promise<void>;
  /** Called when reading failed permanently, after the instances were removed. */
  onFatal(error: unknown): void;
  /** Called when this changes: why some or all events do not arrive; '' when all arrive again. */
  onProblem(problem: string): void;
  /** Called about once a second with the traces of slow operations. */
  onTraces?: ((traces: readonly TraceRecord[]) => void) | undefined;
  /** Called after the buffers were read. */
  onDrained?(cpu: PhaseCpu): void;
}

/** The parts of a status that do not change. */
export type LiveFacts = Omit<CaptureStatus, 'buffers' | 'tickMs' | 'loss' | 'warnings' | 'cost'>;

export interface LiveParts {
  shared: Shared;
  tracers: Tracers;
  spans: SpanCapture | undefined;
  /** Called about once a second, before probes read names of functions. */
  refreshNames(): void;
  /** Buffers in the order in which they are drained. */
  buffers: readonly LiveBuffer[];
  counts: KernelCounts;
  /** Whether the agent finds its new threads in /proc. */
  followsThreads: boolean;
  facts: LiveFacts;
  warnings: readonly string[];
  /** Removes everything. Returns the errors of all steps. */
  close(): unknown[];
  options: LiveOptions;
}

/** Starts recording and draining. */
export function runCapture(parts: LiveParts): Capture {
  const { shared, tracers, spans, buffers, facts, warnings, options } = parts;
  const { own, self, store } = shared;
  const health = watchHealth(parts);
  const update = makeUpdate(parts, health);
  let stopped = false;
  let chores = 0;

  for (const buffer of buffers) buffer.start();
  // The cost per event must not include loading and set-up.
  const cpuSecondsBefore = threadCpuSeconds();
  const drained = buffers.flatMap((buffer) => buffer.drained ?? []);
  const phaseCpu = makePhaseCpu(drained.map(({ stream }) => stream));
  const drain: Drain = startDraining({
    buffers: drained,
    before: () => {
      if (buffers.some((buffer) => buffer.wasTouched())) health.check();
      for (const buffer of buffers) buffer.beforeTick();
    },
    onTick: (tookNs, sinceLastNs) => {
      self.drainTook(tookNs);
      self.drainedAfter(sinceLastNs);
      options.onDrained?.(phaseCpu());
    },
    chores: () => {
      if (parts.followsThreads) own.add(ownThreadIds());
      // Refresh the names first, because the probes store them.
      parts.refreshNames();
      tracers.refresh();
      for (const buffer of buffers) buffer.refresh();
      passTraces();
      if (++chores % CHECK_EVERY === 0) health.check();
    },
    onFailure: (error) => {
      giveUp();
      options.onFatal(error);
    },
  });

  function passTraces(): void {
    const traces = spans?.take() ?? [];
    if (traces.length > 0) options.onTraces?.(traces);
  }

  function giveUp(): void {
    if (stopped) return;
    stopped = true;
    drain.stop();
    const failures = parts.close();
    if (failures.length > 0) throw failures[0];
  }

  return {
    problem: health.problem(),
    snapshot: (held) => {
      update();
      return store.snapshot(held);
    },
    latency: tracers.latency,
    status: (): CaptureStatus => {
      const readings = update();
      const problem = health.problem();
      const events = buffers.find(({ name }) => name === EVENTS_BUFFER);
      return {
        ...facts,
        // Other users can resize the events buffer.
        bufferBytesPerCpu: events?.status().bufferBytesPerCpu ?? facts.bufferBytesPerCpu,
        probes: health.probes(),
        buffers: buffers.map((buffer) => buffer.status()),
        tickMs: drain.tickNs() / 1e6,
        loss: [...readings].flatMap(([name, ofBuffer]) => lossOf(name, ofBuffer)),
        warnings: [...warnings, ...health.notices(), ...(problem === '' ? [] : [problem])],
        cost: {
          cpuSeconds: threadCpuSeconds() - cpuSecondsBefore,
          events: [...readings.values()].flat().reduce((sum, { events }) => sum + events, 0),
        },
      };
    },
    stop: async () => {
      if (stopped) return;
      drain.stop();
      try {
        spans?.end();
        for (const buffer of buffers) buffer.finish();
        passTraces();
        update();
      } finally {
        giveUp();
      }
    },
  };
}

/**
 * Returns a function that updates the metrics which are read rather than counted, and returns the readings of each
 * buffer. It logs lost events at most once a minute.
 */
function makeUpdate({ shared, buffers }: LiveParts, health: CaptureHealth) {
  const { self, store, log } = shared;
  let lostBefore = 0;
  let logAtMs = 0;
  return (): Map<string, BufferReading[]> => {
    const readings = new Map(buffers.map((buffer) => [buffer.name, buffer.readings()]));
    for (const [name, ofBuffer] of readings) self.update(name, ofBuffer);
    self.probeEventsAre(sumsOf(buffers.map(({ plan }) => plan.eventCounts())));
    self.lateEventsAre(buffers.reduce((sum, { drained }) => sum + (drained?.stream.lateEvents() ?? 0), 0));
    store.rotate(performance.now());
    self.probesAre(health.probes());
    let lost = 0;
    for (const { loss } of [...readings.values()].flat())
      if (loss !== undefined) lost += loss.overrun + loss.commitOverrun + loss.dropped;
    if (lost > lostBefore && performance.now() > logAtMs) {
      log.warn(
        { lost: lost - lostBefore },
        'events were lost: increase buffer.total or reduce drain_interval',
      );
      lostBefore = lost;
      logAtMs = performance.now() + LOSS_LOG_MS;
    }
    return readings;
  };
}

function sumsOf(all: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const one of all) for (const [name, count] of one) sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}

interface CaptureHealth {
  /** Looks for changes by other users of tracefs. Throws if the events that are recorded now cannot be used. */
  check(): void;
  /** Why some or all events do not arrive; '' if all arrive. */
  problem(): string;
  /** Changes by other users that lose no events. */
  notices(): readonly string[];
  /** Status of the probes. A probe that misses some or all of its events is down. */
  probes(): ProbeStatus[];
}

function watchHealth({ shared: { log }, buffers, counts, facts, options }: LiveParts): CaptureHealth {
  const isOn = buffers.length > 0 || !counts.isEmpty();
  const unplanned = isOn ? '' : 'no enabled probe works on this kernel';
  let problem = unplanned;
  let notices: readonly string[] = [];
  /** Enabled probes that miss some or all of their events, with the reason. */
  let down: ReadonlyMap<string, string> = new Map();
  return {
    check: () => {
      const health = [...buffers.map((buffer) => buffer.check(performance.now())), counts.health()];
      down = new Map(health.flatMap((one) => [...one.down]));
      const before = notices;
      notices = health.flatMap((one) => one.notices);
      for (const notice of notices) if (!before.includes(notice)) log.warn({}, notice);
      const now = unplanned || health.flatMap(({ problems }) => problems).join('; ');
      if (now === problem) return;
      if (now === '') log.info({ instance: facts.instance }, 'all events are recorded again');
      else log.error({ reason: now }, 'some events are no longer recorded');
      problem = now;
      options.onProblem(problem);
    },
    problem: () => problem,
    notices: () => notices,
    probes: () =>
      facts.probes.map((probe) => {
        const reason = down.get(probe.name);
        return probe.up && reason !== undefined ? { ...probe, up: false, reason } : probe;
      }),
  };
}
