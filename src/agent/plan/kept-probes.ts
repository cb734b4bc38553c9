/**
 * The probes of a plan, and which of them the plan after a reload can keep, with their counters, open operations and
 * events.
 */
import { isDeepStrictEqual } from 'node:util';
import type { MetricStore } from '../../metrics/store.ts';
import type { Containers } from '../../model/containers.ts';
import { METRICS_PREFIX } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { IntervalSinks } from '../../model/intervals.ts';
import type { KernelCount } from '../../model/kernel-count.ts';
import type { EventNeed, HostFacts, Probe } from '../../probes/probe.ts';
import type { EnabledProbe } from './enabled-probe.ts';
import type { Gap } from './suspension.ts';

/** A probe that works, and the inputs it was made from. */
export interface MadeProbe {
  enabled: EnabledProbe;
  probe: Probe;
  /** Why its open operations are dropped. */
  gap: Gap;
  needs: readonly EventNeed[];
  notes: readonly string[];
  /** Formats of the events that it handles. */
  formats: ReadonlyMap<string, EventFormat>;
  /** Sinks that the probe has asked for, whether they exist or not. */
  sinks: ReadonlySet<keyof IntervalSinks>;
  /** The store in which it declares its metrics. */
  metrics: MetricStore;
  /** Number of callbacks that the probe has registered there. */
  callbacks: number;
  /** Unregister what the probe has registered with the container table. */
  stops: readonly (() => void)[];
  /** What the kernel counts for it. */
  counts: readonly KernelCount[];
}

/** Has the same name, options and purpose. */
function isAlike({ enabled: before }: MadeProbe, now: EnabledProbe): boolean {
  const isSameModule =
    before.module === now.module ||
    (before.module.name === now.module.name && now.module.name.startsWith(METRICS_PREFIX));
  return (
    isSameModule &&
    before.onlyFor === now.onlyFor &&
    before.containers === now.containers &&
    isDeepStrictEqual(before.options, now.options)
  );
}

/** Whether a probe was made from the same inputs, as far as the config determines them. */
export function isUnchanged(made: MadeProbe, now: EnabledProbe): boolean {
  const hasSink = (sink: keyof IntervalSinks) => made.enabled.intervals?.[sink] === now.intervals?.[sink];
  return isAlike(made, now) && [...made.sinks].every(hasSink);
}

/** The probe that already does what `now` requests. Undefined if there is none. `needs` are those of `now`. */
export function keptProbe(
  made: readonly MadeProbe[],
  now: EnabledProbe,
  needs: readonly EventNeed[],
  formatOf: (event: string) => EventFormat | undefined,
): MadeProbe | undefined {
  return made.find((one) => {
    if (!isUnchanged(one, now)) return false;
    const events = new Set(one.needs.map(({ event }) => event));
    // A kernel module can have added events, or an event that was removed and created again can have another format.
    return (
      needs.every(({ event }) => events.has(event) || formatOf(event) === undefined) &&
      [...one.formats].every(([event, format]) => isDeepStrictEqual(format, formatOf(event)))
    );
  });
}

/** The metrics that a probe continues although it must be made again, because its sinks or formats changed. */
export function continuedMetrics(made: readonly MadeProbe[], now: EnabledProbe): MetricStore | undefined {
  return made.find((one) => isAlike(one, now))?.metrics;
}

/** Records what a probe registers with the table of containers. */
export function watchedContainers(host: HostFacts): { host: HostFacts; stops: (() => void)[] } {
  const { containers } = host;
  const stops: (() => void)[] = [];
  if (containers === undefined) return { host, stops };
  const onRelease: Containers['onRelease'] = (callback) => {
    const stop = containers.onRelease(callback);
    stops.push(stop);
    return stop;
  };
  return { host: { ...host, containers: { ...containers, onRelease } }, stops };
}

/** Records which sinks a probe asks for. */
export function watchedSinks(sinks: IntervalSinks = {}): {
  intervals: IntervalSinks;
  used: ReadonlySet<keyof IntervalSinks>;
} {
  const used = new Set<keyof IntervalSinks>();
  const intervals = new Proxy(sinks, {
    get: (target, name: keyof IntervalSinks) => {
      used.add(name);
      return target[name];
    },
  });
  return { intervals, used };
}

/** Ends the probes that the next plan no longer has, and the metrics that none of its probes continues. */
export function endProbes(
  store: MetricStore,
  before: readonly MadeProbe[],
  next: readonly MadeProbe[],
): void {
  const goingOn = new Set(next);
  const metrics = new Set(next.map((one) => one.metrics));
  for (const one of before) {
    if (goingOn.has(one)) continue;
    for (const stop of one.stops) stop();
    for (const count of one.counts) count.end();
    if (metrics.has(one.metrics)) one.metrics.forgetCallbacks(one.callbacks);
    else store.drop(one.metrics);
  }
}
