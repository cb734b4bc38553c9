/** Opens one kernel buffer (an instance, or the top level) for a plan. */
import { KernelError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { BufferStatus } from '../../model/status.ts';
import type { BuffersInForce } from '../../tracefs/buffers.ts';
import { type Instance, quietly } from '../../tracefs/instance.ts';
import { enableOf, filterOf } from '../../tracefs/instance-state.ts';
import { countEvents } from '../plan/event-counts.ts';
import { endProbes } from '../plan/kept-probes.ts';
import type { EventPlan } from '../plan/plan.ts';
import type { BufferReading } from '../plan/self-metrics.ts';
import type { TickRule } from '../plan/sizes.ts';
import { makeTraceClock } from '../stream/clock.ts';
import { SETTLE_NS } from '../stream/pipeline.ts';
import { HEALTHY, type HealthWatch, type HealthWatchParts, makeHealthWatch } from './buffer-health.ts';
import { countMissedHits, openLosses, readingOf } from './buffer-losses.ts';
import { type Drained, MOST_ROUNDS } from './drain.ts';
import type { Shared } from './shared.ts';
import type { PlannedStream } from './stream.ts';
import { makeSuspender, type Suspender } from './suspender.ts';

export const EVENTS_BUFFER = 'events';

export interface LiveBufferParts
  extends Pick<HealthWatchParts, 'stopsWhen'>,
    Partial<Pick<HealthWatchParts, 'disks' | 'settings'>> {
  /** Value of the label `buffer`: `events`, `markers` or the tracer's name. */
  name: string;
  instance: Instance;
  planned: PlannedStream;
  inForce: BuffersInForce;
  shared: Shared;
  /** Returns the kprobe hits that the kernel has missed since the last call, by probe. */
  missed?: (() => ReadonlyMap<string, number>) | undefined;
  /** Called after recording has begun. */
  whenStarted?(): void;
  /** Called after all files of the buffer were closed. Returns messages about settings that it could not restore. */
  stopTracer?(): readonly string[];
}

export interface LiveBuffer
  extends Pick<Suspender, 'suspend' | 'resume'>,
    Pick<HealthWatch, 'wasTouched' | 'check'> {
  readonly name: string;
  readonly plan: EventPlan;
  /** Call this between ticks. Writes of `make` to control files do not count as changes by another user. */
  replan(make: () => PlannedStream): PlannedStream;
  /** Disables these events and processes their remaining records. The caller can then remove the events. */
  release(events: readonly string[]): void;
  readonly drained: Drained | undefined;
  /** Enables the events of the plan and starts recording. */
  start(): void;
  /** Called about once a second, for CPU hotplug and sweeps of the probes. */
  refresh(): void;
  /** If other users have read or deleted events, drops open operations (begun but not ended). */
  beforeTick(): void;
  readings(): BufferReading[];
  /** By probe, including events from before a reload. */
  eventCounts(): ReadonlyMap<string, number>;
  status(): BufferStatus;
  /** Stops recording and processes the remaining events. */
  finish(): void;
  /** Throws a `KernelError` if something could not be removed or restored. A second call does nothing. */
  remove(): void;
}

/** Throws a `KernelError`. */
export function openLiveBuffer(parts: LiveBufferParts): LiveBuffer {
  const { name, instance, planned, inForce, shared, disks = [], settings = [], stopsWhen } = parts;
  let { plan } = planned;
  const open = planned.open();
  const now = makeTraceClock();
  const everRead = new Set<number>(open?.cpus());
  const rule = tickRule(parts);
  const voidOpen = (): void => open?.stream.voidUntil(now());
  const losses = openLosses(parts, open?.stream, voidOpen);
  const health = makeHealthWatch({
    ...{ instance, plan, disks, settings, stopsWhen, shared, voidOpen },
    ...{ onPause: losses.pause, beforeUndo: losses.emptiedByAgent },
    onSize: (bytes) => {
      rule.bufferBytesPerCpu = bytes;
    },
  });
  const countMissed = countMissedHits(parts, () => plan, now);
  const suspender = makeSuspender(() => plan, health.switchEvents, now);
  const eventCounts = countEvents(plan);
  let closed = false;
  /** Returned after the buffer was closed. */
  let last: BufferReading[] = [];

  return {
    name,
    get plan() {
      return plan;
    },
    replan: (make) => {
      const stream = open?.stream;
      if (stream?.replan === undefined) throw new Error(`the reader ${planned.reader} keeps its probes`);
      const next = health.replan(() => {
        const later = make();
        switchEvents(instance, plan, later.plan, shared.log);
        stream.replan?.(later.plan);
        endProbes(shared.store, plan.made, later.plan.made);
        return later;
      });
      plan = next.plan;
      eventCounts.goesOn(plan);
      rule.rate = plan.rate;
      return next;
    },
    release: (events) => {
      losses.emptiedByAgent();
      disableForGood(parts, events);
      open?.stream.tick(now(), MOST_ROUNDS);
      plan = withoutEvents(plan, events);
    },
    drained: open && { stream: open.stream, cpus: open.cpus, rule },
    start: () => {
      narrowEvents(instance, plan.filters, shared.log);
      instance.enable(plan.events);
      instance.start();
      health.start();
      losses.look([...everRead]);
      parts.whenStarted?.();
    },
    refresh: () => {
      open?.refresh();
      for (const cpu of open?.cpus() ?? []) everRead.add(cpu);
      plan.sweep();
    },
    beforeTick: () => {
      if (closed) return;
      losses.look(open?.cpus() ?? []);
      countMissed();
      suspender.beforeTick();
    },
    suspend: suspender.suspend,
    resume: suspender.resume,
    wasTouched: health.wasTouched,
    check: (nowMs) => (closed ? HEALTHY : health.check(nowMs)),
    readings: () => {
      if (open === undefined || closed) return last;
      last = [...everRead].map((cpu) => readingOf(cpu, open.stream, losses, rule));
      return last;
    },
    eventCounts: eventCounts.counts,
    status: () => ({
      ...{ buffer: name, instance: instance.name, reader: planned.reader },
      ...{ bufferBytesPerCpu: rule.bufferBytesPerCpu, subbufferBytes: inForce.subbufferBytes },
    }),
    finish: () => {
      health.close();
      instance.stop();
      countMissed();
      open?.stream.flush();
    },
    remove: () => {
      if (closed) return;
      closed = true;
      health.close();
      losses.close();
      open?.close();
      const problems = [...(parts.stopTracer?.() ?? []), ...instance.remove()];
      if (problems.length > 0) throw notRestored(instance, problems);
    },
  };
}

function tickRule({ planned, inForce, shared }: LiveBufferParts): TickRule {
  return {
    rate: planned.plan.rate,
    get drainIntervalNs() {
      return shared.config.drainIntervalMs * 1e6;
    },
    bufferBytesPerCpu: inForce.bufferBytesPerCpu,
    cpus: shared.onlineCpus.length,
  };
}

/**
 * Waits until a tick can process all records of the events. The kernel can give the id of a removed event to a new
 * event, so a remaining record would be decoded as another event.
 */
function disableForGood({ name, instance, shared }: LiveBufferParts, events: readonly string[]): void {
  shared.log.info(
    { buffer: name, events },
    'removing kprobe and uprobe events: the kernel then empties this buffer, so other events may be lost',
  );
  for (const event of events) quietly(() => instance.set(enableOf(event), '0'));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, (2 * SETTLE_NS) / 1e6);
}

function notRestored({ dir }: Instance, problems: readonly string[]): KernelError {
  return new KernelError({ file: dir, errno: '', action: 'restore', remedy: problems.join('; ') });
}

function withoutEvents(plan: EventPlan, gone: readonly string[]): EventPlan {
  const stays = (event: string) => !gone.includes(event);
  const filters = new Map([...plan.filters].filter(([event]) => stays(event)));
  return { ...plan, events: plan.events.filter(stays), filters };
}

/** Only logs a refusal, because the health check then reports the event's probes as down and tries again. */
function switchEvents(instance: Instance, before: EventPlan, next: EventPlan, log: Log): void {
  const attempt = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      log.error({ reason: error.message }, 'cannot switch an event on or off');
    }
  };
  const isChanged = (event: string) => before.filters.get(event) !== next.filters.get(event);
  for (const event of before.filters.keys())
    if (isChanged(event)) attempt(() => instance.set(filterOf(event), '0'));
  narrowEvents(instance, new Map([...next.filters].filter(([event]) => isChanged(event))), log);
  for (const event of next.events)
    if (!before.events.includes(event)) attempt(() => instance.enable([event]));
  for (const event of before.events)
    if (!next.events.includes(event)) attempt(() => instance.set(enableOf(event), '0'));
}

/**
 * Makes the kernel drop events that all probes would drop. The probes still filter, because the kernel can reject a
 * filter and because probes share events.
 */
function narrowEvents(instance: Instance, filters: ReadonlyMap<string, string>, log: Log): void {
  for (const [event, filter] of filters) {
    try {
      instance.set(filterOf(event), filter);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      log.warn(
        { event, reason: error.message },
        'the kernel rejected a filter; the agent filters the events itself',
      );
    }
  }
}
