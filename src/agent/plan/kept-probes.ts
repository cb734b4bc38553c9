/**
 * Decides which running probes continue after a reload, and ends the others. Probes that continue keep their counters
 * and their open operations (operations that have begun but not ended).
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

/** A running probe, and the inputs from which it was created. */
export interface MadeProbe {
  enabled: EnabledProbe;
  probe: Probe;
  /** Why the probe last missed events. */
  gap: Gap;
  needs: readonly EventNeed[];
  notes: readonly string[];
  /** Formats of the events that the probe handles. */
  formats: ReadonlyMap<string, EventFormat>;
  /** Names of the sinks that the probe has looked up, including sinks that do not exist. */
  sinks: ReadonlySet<keyof IntervalSinks>;
  /** The store in which the probe declares its metrics. */
  metrics: MetricStore;
  /** Number of callbacks that the probe has registered in `metrics`. */
  callbacks: number;
  /** Functions that unregister the callbacks that the probe has registered in the container table. */
  stops: readonly (() => void)[];
  /** Counts that the kernel keeps for the probe. */
  counts: readonly KernelCount[];
}

/** Whether the enabled probe `now` has the same name, options, purpose and container table as the running probe. */
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

/**
 * Whether the enabled probe `now` has the same name, options, purpose and container table as the running probe, and the
 * same sinks. Compares only the sinks that the running probe has looked up.
 */
export function isUnchanged(made: MadeProbe, now: EnabledProbe): boolean {
  const hasSink = (sink: keyof IntervalSinks) => made.enabled.intervals?.[sink] === now.intervals?.[sink];
  return isAlike(made, now) && [...made.sinks].every(hasSink);
}

/**
 * Returns the running probe that can continue to run for the enabled probe `now`; undefined if no probe can. `needs`:
 * events that `now` needs.
 */
export function keptProbe(
  made: readonly MadeProbe[],
  now: EnabledProbe,
  needs: readonly EventNeed[],
  formatOf: (event: string) => EventFormat | undefined,
): MadeProbe | undefined {
  return made.find((one) => {
    if (!isUnchanged(one, now)) return false;
    const events = new Set(one.needs.map(({ event }) => event));
    // Compare events and formats, because they can change while the config stays the same: a kernel module can add
    // events, and an event can be removed and created again with another format.
    return (
      needs.every(({ event }) => events.has(event) || formatOf(event) === undefined) &&
      [...one.formats].every(([event, format]) => isDeepStrictEqual(format, formatOf(event)))
    );
  });
}

/**
 * Returns the metrics of the running probe with the same name and options; undefined if there is none. If only sinks or
 * event formats have changed, the agent creates the probe again, and the new probe continues these metrics.
 */
export function continuedMetrics(made: readonly MadeProbe[], now: EnabledProbe): MetricStore | undefined {
  return made.find((one) => isAlike(one, now))?.metrics;
}

/**
 * Wraps the container table of `host`. `stops` collects functions that unregister the callbacks of the probe that uses
 * the returned host.
 */
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

/** Wraps the sinks. `used` collects the names of the sinks that the probe looks up. */
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

/** Ends the probes that the next plan lacks. Drops their metrics, unless a probe of the next plan continues them. */
export function endProbes(
  store: MetricStore,
  before: readonly MadeProbe[],
  next: readonly MadeProbe[],
): void {
  const goingOn = new Set(next);
  const metrics = new Set(next.map((one) => one.metrics));
  for (const one of before) {
    if (goingOn.has(one)) continue;
    const areKept = metrics.has(one.metrics);
    if (areKept) one.metrics.forgetCallbacks(one.callbacks);
    for (const stop of one.stops) stop();
    for (const count of one.counts) count.end();
    if (!areKept) store.drop(one.metrics);
  }
}
