/** A running capture of the live kernel. A drain is one read of all buffers. */
import type { AgentConfig } from '../../config/schema.ts';
import type { ModuleWatch } from '../../host/modules.ts';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { TraceRecord } from '../../model/span.ts';
import type { CaptureStatus, ProbeStatus } from '../../model/status.ts';
import { ownThreadIds } from '../../tracefs/threads.ts';
import type { Capture } from '../contract/capture.ts';
import type { PhaseCpu } from '../contract/pulse.ts';
import { sumsOf } from '../plan/event-counts.ts';
import { lossOf } from '../plan/loss-ledger.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import type { SpanCapture } from '../slow/span-capture.ts';
import { threadCpuSeconds } from '../stream/clock.ts';
import { EVENTS_BUFFER, type LiveBuffer } from './buffer.ts';
import { type Drain, startDraining } from './drain.ts';
import type { KernelCounts } from './kernel-counts.ts';
import { type OpenBudget, openBudget } from './open-budget.ts';
import { makePhaseCpu } from './phase-cpu.ts';
import type { Shared } from './shared.ts';
import type { Tracers } from './tracers.ts';

const LOSS_LOG_MS = 60_000;
/** Every fifth time, the chores also look for changes that inotify does not report. */
const CHECK_EVERY = 5;

export interface LiveOptions {
  log: Log;
  /** Writes `text` to the trace marker `file`, so that the capture learns the main thread's id. */
  markFromMain(file: string, text: string): Promise<void>;
  /** Called when reading has failed permanently, after the instances were removed. */
  onFatal(error: unknown): void;
  /** Called when the reason for missing events changes. '' if all events arrive again. */
  onProblem(problem: string): void;
  /** Called with the finished traces of slow operations, about once a second. */
  onTraces?: ((traces: readonly TraceRecord[]) => void) | undefined;
  onDrained?(cpu: PhaseCpu): void;
}

/** The fields of the status that change only on a reload. */
export type LiveFacts = Omit<CaptureStatus, 'buffers' | 'tickMs' | 'loss' | 'warnings' | 'cost' | 'budget'>;

/** The part of a capture that a reload replaces. */
export interface LiveState {
  spans: SpanCapture | undefined;
  /** In the order in which they are drained. */
  buffers: readonly LiveBuffer[];
  facts: LiveFacts;
  warnings: readonly string[];
}

export interface LiveParts {
  shared: Shared;
  counts: KernelCounts;
  tracers: Tracers;
  modules: ModuleWatch;
  /** Called about once a second, before the sweeps of the probes. */
  refreshNames(): void;
  /** Whether /proc shows host pids, so that the agent can find its new threads there. */
  followsThreads: boolean;
  state: LiveState;
  /** Switches to another config. Does not start the new buffers. */
  reload(config: AgentConfig): LiveState;
  /** Removes everything that the capture has created in tracefs. Returns the errors of all steps. */
  close(): unknown[];
  options: LiveOptions;
}

export function runCapture(parts: LiveParts): Capture {
  const { shared, tracers, options } = parts;
  const { self, store } = shared;
  let { state } = parts;
  const budget = openBudget(shared, () => state);
  const health = watchHealth(parts, () => state, budget);
  const { update, gone } = makeUpdate(shared, () => state.buffers, health);
  let stopped = false;
  let chores = 0;

  for (const buffer of state.buffers) buffer.start();
  // The cost per event must not include loading and set-up.
  const cpuSecondsBefore = threadCpuSeconds();
  const drained = () => state.buffers.flatMap((buffer) => buffer.drained ?? []);
  const streams = drained().map(({ stream }) => stream);
  const phaseCpu = makePhaseCpu(streams);
  const drain: Drain = startDraining({
    buffers: drained(),
    before: () => beforeTick(state, health),
    onTick: (tookNs, sinceLastNs) => {
      self.drainTook(tookNs);
      self.drainedAfter(sinceLastNs);
      const cpu = phaseCpu();
      budget.ticked(cpu);
      options.onDrained?.(cpu);
    },
    chores: () => {
      refresh(parts, state);
      passTraces(state, options);
      if (++chores % CHECK_EVERY !== 0) return;
      health.check();
      if (hasNewModules(parts, state)) reload(shared.config);
    },
    onFailure: (error) => options.onFatal(afterCleanUp(error, giveUp)),
  });

  function giveUp(): void {
    if (stopped) return;
    stopped = true;
    drain.stop();
    const failures = parts.close();
    if (failures.length > 0) throw failures[0];
  }

  function reload(config: AgentConfig): void {
    const before = state.buffers;
    passTraces(state, options);
    budget.reload(() => {
      state = parts.reload(config);
    });
    gone(before.filter((buffer) => !state.buffers.includes(buffer)));
    for (const buffer of state.buffers) if (!before.includes(buffer)) buffer.start();
    drain.follow(drained());
    streams.splice(0, streams.length, ...drained().map(({ stream }) => stream));
    health.check();
  }

  return {
    problem: health.problem(),
    reload: (config) => {
      try {
        reload(config);
      } catch (error) {
        throw afterCleanUp(error, giveUp);
      }
    },
    snapshot: (held) => {
      update();
      budget.update();
      return store.snapshot(held);
    },
    latency: tracers.latency,
    status: () => {
      const readings = update();
      const cost = { cpuSeconds: threadCpuSeconds() - cpuSecondsBefore, events: eventsOf(readings) };
      const now = { tickMs: drain.tickNs() / 1e6, cost };
      return { ...statusOf(state, { health, budget, readings }), ...now };
    },
    stop: async () => {
      if (stopped) return;
      drain.stop();
      try {
        state.spans?.end();
        for (const buffer of state.buffers) buffer.finish();
        passTraces(state, options);
        update();
      } catch (error) {
        throw afterCleanUp(error, giveUp);
      }
      giveUp();
    },
  };
}

/** Returns `error`, or an error with both reasons if the clean-up fails. */
function afterCleanUp(error: unknown, cleanUp: () => void): unknown {
  try {
    cleanUp();
    return error;
  } catch (failure) {
    return new Error(`${reasonOf(error)}; the clean-up after this error failed, too: ${reasonOf(failure)}`);
  }
}

function passTraces({ spans }: LiveState, { onTraces }: LiveOptions): void {
  const traces = spans?.take() ?? [];
  if (traces.length > 0) onTraces?.(traces);
}

function beforeTick({ buffers }: LiveState, health: CaptureHealth): void {
  if (buffers.some((buffer) => buffer.wasTouched())) health.check();
  for (const buffer of buffers) buffer.beforeTick();
}

function refresh({ shared, tracers, followsThreads, refreshNames }: LiveParts, { buffers }: LiveState): void {
  if (followsThreads) shared.own.add(ownThreadIds());
  // The sweeps of the probes check whether names have changed.
  refreshNames();
  tracers.refresh();
  for (const buffer of buffers) buffer.refresh();
}

/** Whether a probe that is off may now find its events and functions. */
function hasNewModules({ shared, modules }: LiveParts, { facts }: LiveState): boolean {
  const off = facts.probes.filter(({ up }) => !up).map(({ name }) => name);
  if (off.length === 0 || shared.config.reader === 'trace_pipe' || !modules.changed()) return false;
  shared.log.info(
    { probes: off.join() },
    'kernel modules were loaded or removed: trying again to switch on the probes that are off',
  );
  return true;
}

function statusOf(
  { buffers, facts, warnings }: LiveState,
  now: { health: CaptureHealth; budget: OpenBudget; readings: Map<string, BufferReading[]> },
): Omit<CaptureStatus, 'tickMs' | 'cost'> {
  const { health, budget, readings } = now;
  const events = buffers.find(({ name }) => name === EVENTS_BUFFER);
  return {
    ...facts,
    // Other users can resize the events buffer.
    bufferBytesPerCpu: events?.status().bufferBytesPerCpu ?? facts.bufferBytesPerCpu,
    probes: health.probes(),
    kinds: budget.kinds(facts.kinds),
    budget: budget.status(),
    buffers: buffers.map((buffer) => buffer.status()),
    loss: [...readings].flatMap(([name, ofBuffer]) => lossOf(name, ofBuffer)),
    warnings: [...warnings, ...budget.warnings(), ...health.notices(), health.problem()].filter(Boolean),
  };
}

/** `update` sets the metrics that are read from the kernel. `gone` drops the series of removed buffers. */
function makeUpdate(
  { self, store, log }: Shared,
  buffersNow: () => readonly LiveBuffer[],
  health: CaptureHealth,
) {
  let lostBefore = 0;
  let logAtMs = 0;
  let lateInGone = 0;
  const lateIn = (buffers: readonly LiveBuffer[]) =>
    buffers.reduce((sum, { drained }) => sum + (drained?.stream.lateEvents() ?? 0), 0);
  const gone = (buffers: readonly LiveBuffer[]): void => {
    lateInGone += lateIn(buffers);
    for (const { name } of buffers) self.forgetBuffer(name);
  };
  const update = (): Map<string, BufferReading[]> => {
    const buffers = buffersNow();
    const readings = new Map(buffers.map((buffer) => [buffer.name, buffer.readings()]));
    for (const [name, ofBuffer] of readings) self.update(name, ofBuffer);
    self.probeEventsAre(sumsOf(buffers.map((buffer) => buffer.eventCounts())));
    self.lateEventsAre(lateInGone + lateIn(buffers));
    store.rotate(performance.now());
    self.probesAre(health.probes());
    let lost = 0;
    for (const { loss } of [...readings.values()].flat())
      if (loss !== undefined) lost += loss.overrun + loss.commitOverrun + loss.dropped;
    if (lost < lostBefore) lostBefore = lost;
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
  return { update, gone };
}

function eventsOf(readings: ReadonlyMap<string, readonly BufferReading[]>): number {
  return [...readings.values()].flat().reduce((sum, { events }) => sum + events, 0);
}

interface CaptureHealth {
  /** Throws if a change by another user makes events unusable. */
  check(): void;
  /** Why some or all events do not arrive; '' if all arrive. */
  problem(): string;
  /** Changes by other users that lose no events. */
  notices(): readonly string[];
  /** A probe that misses some or all of its events is down. */
  probes(): ProbeStatus[];
}

function watchHealth(
  { shared: { log }, counts, options }: LiveParts,
  state: () => LiveState,
  budget: OpenBudget,
): CaptureHealth {
  const isOn = () =>
    state().buffers.some(({ name, plan }) => name !== EVENTS_BUFFER || plan.events.length > 0) ||
    !counts.isEmpty();
  const unplanned = () =>
    isOn() ? '' : 'no enabled probe works on this kernel: run `ftrace-exporter doctor` to see the reasons';
  let problem = unplanned();
  let notices: readonly string[] = [];
  /** Enabled probes that miss some or all of their events, with the reason. */
  let down: ReadonlyMap<string, string> = new Map();
  return {
    check: () => {
      const buffers = state().buffers.map((buffer) => buffer.check(performance.now()));
      const health = [...buffers, counts.health()];
      down = new Map(health.flatMap((one) => [...one.down]));
      const before = notices;
      notices = health.flatMap((one) => one.notices);
      for (const notice of notices) if (!before.includes(notice)) log.warn({}, notice);
      const now = unplanned() || health.flatMap(({ problems }) => problems).join('; ');
      if (now === problem) return;
      if (now === '') log.info({ instance: state().facts.instance }, 'recording of all events has resumed');
      else log.error({ reason: now }, 'some events are no longer recorded');
      problem = now;
      options.onProblem(problem);
    },
    problem: () => problem,
    notices: () => notices,
    probes: () =>
      state().facts.probes.map((probe) => {
        const reason = down.get(probe.name) ?? budget.suspended(probe.name)?.reason;
        return probe.up && reason !== undefined ? { ...probe, up: false, reason } : probe;
      }),
  };
}
