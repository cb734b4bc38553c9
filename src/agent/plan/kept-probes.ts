/**
 * Decides which running probes continue after a reload, with their counters and open operations (begun but not ended).
 * Ends the others.
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

export interface MadeProbe {
  enabled: EnabledProbe;
  probe: Probe;
  gap: Gap;
  needs: readonly EventNeed[];
  notes: readonly string[];
  /** Formats of the events that the probe handles. */
  formats: ReadonlyMap<string, EventFormat>;
  /** Names of the sinks that the probe has looked up, including sinks that do not exist. */
  sinks: ReadonlySet<keyof IntervalSinks>;
  metrics: MetricStore;
  /** Number of callbacks that the probe has registered in `metrics`. */
  callbacks: number;
  /** Functions that unregister the probe's callbacks in the container table. */
  stops: readonly (() => void)[];
  counts: readonly KernelCount[];
}

/** Whether the name, options, purpose and container table are the same. */
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

/** Like `isAlike`, but also compares the sinks that the running probe has looked up. */
export function isUnchanged(made: MadeProbe, now: EnabledProbe): boolean {
  const hasSink = (sink: keyof IntervalSinks) => made.enabled.intervals?.[sink] === now.intervals?.[sink];
  return isAlike(made, now) && [...made.sinks].every(hasSink);
}

/** Returns the running probe that can continue as `now`. `needs`: events that `now` needs. */
export function keptProbe(
  made: readonly MadeProbe[],
  now: EnabledProbe,
  needs: readonly EventNeed[],
  formatOf: (event: string) => EventFormat | undefined,
): MadeProbe | undefined {
  return made.find((one) => {
    if (!isUnchanged(one, now)) return false;
    const events = new Set(one.needs.map(({ event }) => event));
    // Events and formats can change without the config, for example when a kernel module is loaded.
    return (
      needs.every(({ event }) => events.has(event) || formatOf(event) === undefined) &&
      [...one.formats].every(([event, format]) => isDeepStrictEqual(format, formatOf(event)))
    );
  });
}

/** Metrics that the probe continues if it must be created again only because sinks or event formats have changed. */
export function continuedMetrics(made: readonly MadeProbe[], now: EnabledProbe): MetricStore | undefined {
  return made.find((one) => isAlike(one, now))?.metrics;
}

/** `stops` collects functions that unregister the callbacks of the probe that uses the returned host. */
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

/** `used` collects the names of the sinks that the probe looks up. */
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

/** Ends the probes that the next plan lacks. Keeps metrics that a probe of the next plan continues. */
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
