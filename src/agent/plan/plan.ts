/**
 * Plans what the probes need: the events to enable, their handlers, and why a probe is off. Helper probes have no
 * metrics; they support traces or container labels.
 */

import { didYouMean } from '../../config/suggest.ts';
import { type Dispatcher, type HandledType, makeDispatcher } from '../../decode/dispatch.ts';
import { bytesReader, intReader, wordOffset } from '../../decode/fields.ts';
import { MetricStore } from '../../metrics/store.ts';
import { METRICS_PREFIX } from '../../model/declared-metric.ts';
import { reasonOf } from '../../model/errors.ts';
import type { EventFormat } from '../../model/format.ts';
import type { FunctionLookup, FunctionNames } from '../../model/function-names.ts';
import type { KernelCount, KernelCountRequest } from '../../model/kernel-count.ts';
import type { EventHandler } from '../../model/record.ts';
import type { TraceMetadata } from '../../model/source.ts';
import type { ProbeStatus } from '../../model/status.ts';
import type { EventNeed, HostFacts, KernelOffer, ProbeContext } from '../../probes/probe.ts';
import type { EnabledProbe } from './enabled-probe.ts';
import { FormatCache } from './format-cache.ts';
import {
  continuedMetrics,
  keptProbe,
  type MadeProbe,
  watchedContainers,
  watchedSinks,
} from './kept-probes.ts';
import { hasAddresses, lookedUpOnce, whatIsMissing } from './missing.ts';
import type { SelfMetrics } from './self-metrics.ts';
import { countByGap, type Gap, makeSuspensions, type RunningProbe, type Suspensions } from './suspension.ts';
import { unmatchedNames } from './unmatched-names.ts';

export type { EnabledProbe };

export interface PlanInput {
  enabled: readonly EnabledProbe[];
  metadata: Omit<TraceMetadata, 'layout'> & Pick<KernelOffer, 'functions'>;
  host: HostFacts;
  onlineCpus: readonly number[];
  store: MetricStore;
  /** Whether each probe gets its own part of the store, so that a later plan can drop the probe's metrics. */
  inParts?: boolean;
  self: SelfMetrics;
  isSelf(pid: number): boolean;
  /** What provides the events, for messages. Default: `this kernel`. */
  where?: 'this kernel' | 'this recording';
  /** Why the agent could not define some kprobes and uprobes, by event name. */
  refused?: ReadonlyMap<string, string> | undefined;
  /** Makes the kernel count events for a probe. If absent, the agent counts them. */
  countInKernel?: ((probe: string, request: KernelCountRequest) => KernelCount) | undefined;
  /** If absent, probes cannot use events in which they need names for addresses. */
  functions?: FunctionLookup;
  maxWindowMs?: number;
  /** Returns why the reader cannot provide an event's fields; undefined if it can. */
  unreadable?: ((type: PlannedType) => string | undefined) | undefined;
  /** Makes handlers for additional events, by event name. The plan does not enable these events. */
  extra?: Readonly<Record<string, (format: EventFormat) => EventHandler>>;
}

export interface PlannedType {
  event: string;
  format: EventFormat;
  fields: readonly string[];
  addresses?: readonly string[];
}

export interface EventPlan extends Suspensions {
  /** As `system:name`. Excludes the system `ftrace` (records of tracers), which cannot be enabled. */
  events: readonly string[];
  /** Kernel filter by event. An event has no filter if a probe needs all of its records. */
  filters: ReadonlyMap<string, string>;
  /** In the order of the dispatcher's slots. */
  types: readonly PlannedType[];
  dispatcher: Dispatcher;
  probes: readonly ProbeStatus[];
  /** The working probes, including helpers. */
  made: readonly MadeProbe[];
  helpers: readonly ProbeStatus[];
  /** Whether a running probe reads addresses of functions. */
  readsAddresses: boolean;
  /** `high` if a running probe can receive very many events, for example all syscalls. */
  rate: 'low' | 'high';
  /** Events that each probe has received, by the probe's name or the helper's purpose (`onlyFor`). */
  eventCounts(): Map<string, number>;
  sweep(): void;
  /** Passes a new maximum, which a latency tracer has recorded, to the probes. */
  onLatency(latencyNs: number, trace: string): void;
}

const nothing = () => {};
const noFunctions: FunctionLookup = () => ({ reason: 'function names are not looked up here' });
const DEFAULT_WINDOW_MS = 120_000;

interface Wanted extends PlannedType {
  fields: string[];
  addresses: string[];
  handlers: EventHandler[];
  /** For each handler: the name of its probe, or the purpose of its helper. */
  owners: string[];
  /** One filter per handler; undefined if the handler needs all records. */
  filters: (string | undefined)[];
}

/**
 * Unchanged probes of the previous plan (`earlier`) continue. No closure here may refer to `earlier`: each plan would
 * keep all previous plans in memory.
 */
export function planEvents(input: PlanInput, earlier: readonly MadeProbe[] = []): EventPlan {
  const formats = new FormatCache(input.metadata);
  const functions = lookedUpOnce(input.functions ?? noFunctions);
  const wanted = new Map<string, Wanted>();
  const running: MadeProbe[] = [];
  const probes: ProbeStatus[] = [];
  const helpers: ProbeStatus[] = [];
  let rate: 'low' | 'high' = 'low';
  let readsAddresses = false;
  const where = input.where ?? 'this kernel';
  for (const enabledProbe of input.enabled) {
    const { module, onlyFor } = enabledProbe;
    const names =
      onlyFor === undefined ? unmatchedNames(enabledProbe, input.metadata, input.host, where) : [];
    const status = (one: ProbeStatus) => (onlyFor === undefined ? probes : helpers).push(one);
    const made =
      keptOf(enabledProbe, formats, input, earlier) ??
      makeProbe(enabledProbe, formats, { ...input, functions }, earlier);
    if (typeof made === 'string') {
      status({ name: module.name, up: false, reason: made, events: [], notes: names });
      continue;
    }
    running.push(made);
    if (module.rate === 'high') rate = 'high';
    if (made.needs.some(hasAddresses)) readsAddresses = true;
    for (const [event, handler] of Object.entries(made.probe.handlers)) {
      const format = formats.get(event);
      if (format === undefined) continue;
      const entry = wanted.get(event) ?? {
        ...{ event, format, fields: [], addresses: [], handlers: [], owners: [], filters: [] },
      };
      const needs = made.needs.filter((need) => need.event === event);
      entry.handlers.push(handler);
      entry.owners.push(onlyFor ?? module.name);
      entry.fields.push(...needs.flatMap(({ fields }) => fields));
      entry.addresses.push(...needs.flatMap(({ addresses = [] }) => addresses));
      entry.filters.push(made.probe.filters?.[event]);
      wanted.set(event, entry);
    }
    const events = [...Object.keys(made.probe.handlers), ...(made.probe.counted ?? [])];
    status({ name: module.name, up: true, reason: '', events, notes: [...made.notes, ...names] });
  }
  for (const [event, makeHandler] of Object.entries(input.extra ?? {})) {
    const format = formats.get(event);
    if (format !== undefined)
      wanted.set(event, {
        ...{ event, format, fields: [], addresses: [], owners: [], filters: [undefined] },
        handlers: [makeHandler(format)],
      });
  }
  const types = [...wanted.values()];
  const extra = input.extra ?? {};
  const isEnabled = ({ event }: PlannedType) => !event.startsWith('ftrace:') && !Object.hasOwn(extra, event);
  const sweeps = running.flatMap(({ probe }) => (probe.sweep ? [probe.sweep.bind(probe)] : []));
  const dispatcher = makeDispatcher(types.map(handledType));
  return {
    events: types.filter(isEnabled).map(({ event }) => event),
    filters: new Map(types.flatMap(({ event, filters }) => filterOfAll(event, filters))),
    types,
    dispatcher,
    probes,
    made: running,
    helpers,
    readsAddresses,
    rate,
    eventCounts: () => countByOwner(types, dispatcher),
    ...makeSuspensions(types, running.map(runningProbe), input.metadata.cpuCount),
    sweep: () => {
      for (const sweep of sweeps) sweep();
    },
    onLatency: (latencyNs, trace) => {
      for (const { probe } of running) probe.onLatency?.(latencyNs, trace);
    },
  };
}

function runningProbe({ enabled, probe, gap }: MadeProbe): RunningProbe {
  return { name: enabled.onlyFor ?? enabled.module.name, probe, gap };
}

function countByOwner(types: readonly Wanted[], { calls }: Dispatcher): Map<string, number> {
  const counts = new Map<string, number>();
  types.forEach(({ owners }, i) => {
    for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + calls[i + 1]);
  });
  return counts;
}

/** Returns a filter that passes every record that a handler needs; an empty list if a handler needs all records. */
function filterOfAll(event: string, filters: readonly (string | undefined)[]): [string, string][] {
  const texts = filters.filter((filter) => filter !== undefined);
  return texts.length < filters.length ? [] : [[event, [...new Set(texts)].join(' || ')]];
}

/** Returns the probe of the previous plan if it can continue. */
function keptOf(
  enabled: EnabledProbe,
  formats: FormatCache,
  input: PlanInput,
  earlier: readonly MadeProbe[],
): MadeProbe | undefined {
  if (earlier.length === 0) return undefined;
  const { module, options, intervals } = enabled;
  const needs = module.needs(options, input.metadata, input.host, intervals);
  return keptProbe(earlier, enabled, needs, (event) => formats.get(event));
}

/** Returns the probe, or the reason why it is off. */
function makeProbe(
  enabled: EnabledProbe,
  formats: FormatCache,
  input: PlanInput & { functions: FunctionLookup },
  earlier: readonly MadeProbe[],
): MadeProbe | string {
  const { module, options, onlyFor } = enabled;
  const { intervals, used: sinks } = watchedSinks(enabled.intervals);
  const { where = 'this kernel' } = input;
  // Only metrics in the config contain event names that a user wrote.
  const hint = module.name.startsWith(METRICS_PREFIX) ? didYouMean : () => '';
  const names = () => input.functions(module.tracer === undefined ? 'inside' : 'start');
  const missingFor = (need: EventNeed) =>
    whatIsMissing(need, formats, {
      ...{ where, hint, names, refused: input.refused, unreadable: input.unreadable },
    });
  const needs = module.needs(options, input.metadata, input.host, intervals);
  const eventless = module.tracer?.(options).reads === 'latency';
  if (needs.length === 0 && !eventless) return `no event of ${where} matches the options of the probe`;
  const usable: EventNeed[] = [];
  const notes: string[] = [];
  for (const need of needs) {
    const missing = missingFor(need);
    if (missing === undefined) usable.push(need);
    else if (need.without === undefined) return missing;
    else if (need.without !== '') notes.push(`${missing}: ${need.without}`);
  }
  if (usable.length === 0 && !eventless) {
    const events = [...new Set(needs.map(({ event }) => event))];
    return `${where} has none of the probe's events (${shortened(events)})`;
  }
  const functions = usable.some(hasAddresses) ? names() : undefined;
  const usableNames = new Set(usable.map((need) => need.event));
  const format = (event: string) => (usableNames.has(event) ? formats.get(event) : undefined);
  const required = (event: string): EventFormat => {
    const parsed = format(event);
    if (parsed === undefined) throw new Error(`${module.name} reads ${event} without declaring it`);
    return parsed;
  };
  const metrics = storeFor(enabled, input, earlier);
  const { countInKernel } = input;
  const counts: KernelCount[] = [];
  const { host, stops } = watchedContainers(input.host);
  const countOf = (count: KernelCount): KernelCount => {
    counts.push(count);
    return count;
  };
  const gap: Gap = { reason: 'lost', isOff: false };
  const context: ProbeContext = {
    events: [...usableNames],
    metrics,
    host,
    cpuCount: input.metadata.cpuCount,
    onlineCpus: input.onlineCpus,
    maxWindowMs: input.maxWindowMs ?? DEFAULT_WINDOW_MS,
    get functions(): FunctionNames {
      if (functions !== undefined && !('reason' in functions)) return functions;
      throw new Error(`${module.name} reads function names, but none of its needs declares \`addresses\``);
    },
    intervals,
    format,
    int: (event, field) => intReader(required(event), field),
    word: (event, field) => wordOffset(required(event), field),
    bytes: (event, field) => bytesReader(required(event), field),
    countInKernel: countInKernel && ((request) => countOf(countInKernel(module.name, request))),
    isSelf: input.isSelf,
    ignoreSelf: onlyFor === undefined ? input.self.ignoreSelf : nothing,
    unmatched: (reason) =>
      onlyFor === undefined
        ? countByGap(gap, reason, (why) => input.self.unmatched(module.name, why))
        : nothing,
  };
  try {
    const before = metrics.callbacks();
    const probe = module.create(context, options);
    const callbacks = metrics.callbacks() - before;
    const handled = Object.keys(probe.handlers).flatMap((event) => {
      const format = formats.get(event);
      return format === undefined ? [] : [[event, format] as const];
    });
    return {
      enabled,
      probe,
      gap,
      needs: usable,
      notes,
      formats: new Map(handled),
      sinks,
      metrics,
      callbacks,
      stops,
      counts,
    };
  } catch (error) {
    if (input.inParts) input.store.drop(metrics);
    for (const stop of stops) stop();
    for (const count of counts) count.end();
    return `cannot be set up: ${reasonOf(error)}`;
  }
}

function storeFor(
  enabled: EnabledProbe,
  { store, inParts }: PlanInput,
  earlier: readonly MadeProbe[],
): MetricStore {
  if (enabled.onlyFor !== undefined) return new MetricStore({ countsSeries: false });
  return continuedMetrics(earlier, enabled) ?? (inParts ? store.part() : store);
}

const MOST_NAMED = 4;

function shortened(events: readonly string[]): string {
  const more = events.length > MOST_NAMED ? `, and ${events.length - MOST_NAMED} more` : '';
  return events.slice(0, MOST_NAMED).join(', ') + more;
}

/** Minimum length in bytes of a record with `common_type`, `common_pid` and these fields. */
function lengthOf(format: EventFormat, fields: readonly string[]): number {
  let length = 8;
  for (const field of format.fields) {
    if (fields.includes(field.name)) length = Math.max(length, field.offset + field.size);
  }
  return length;
}

function handledType({ format, fields, handlers }: Wanted): HandledType {
  const handler = handlers.length === 1 ? handlers[0] : allOf(handlers);
  return { id: format.id, handler, minLength: lengthOf(format, fields) };
}

function allOf(handlers: readonly EventHandler[]): EventHandler {
  return (record) => {
    for (let i = 0; i < handlers.length; i++) handlers[i](record);
  };
}
