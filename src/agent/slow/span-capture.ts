/**
 * Makes traces of slow operations from single operations that probes report to sinks. Helper probes have no metrics;
 * they report operations that no enabled probe reports.
 */
import { getRandomValues } from 'node:crypto';
import { globMatcher } from '../../config/units/globs.ts';
import type { IntervalSinks } from '../../model/intervals.ts';
import { type SpanKind, type SpansConfig, TASK_KINDS, type TraceRecord } from '../../model/span.ts';
import type { KindStatus, ProbeStatus } from '../../model/status.ts';
import { NORMAL } from '../../model/task-classes.ts';
import { probeCatalogue } from '../../probes/catalogue.ts';
import { HELPER_OPTIONS } from '../../probes/helpers/helper.ts';
import { type TaskIntervalOptions, taskIntervals } from '../../probes/helpers/task-intervals.ts';
import { topLevelMarkers, traceMarkers } from '../../probes/helpers/trace-markers.ts';
import { WORK_PROBES } from '../../probes/helpers/work-events.ts';
import type { CommonOptions, HostFacts } from '../../probes/probe.ts';
import { makeAppContexts } from '../../spans/app-contexts.ts';
import type { SpanDeps } from '../../spans/deps.ts';
import { metricName } from '../../spans/operations.ts';
import { makeSpans } from '../../spans/spans.ts';
import type { EnabledProbe, PlanInput } from '../plan/plan.ts';
import { makeTraceClock } from '../stream/clock.ts';
import { declareMarkerCounts } from './marker-metrics.ts';
import { declareSpanCounts } from './span-metrics.ts';
import { makeWallClock } from './wall-clock.ts';

/** Value of `onlyFor` of the helper probes for traces. */
export const SPANS = 'spans';

/** Time limit in ns for making traces on shutdown, because full buffers can contain very many operations. */
const LAST_TRACES_NS = 1e9;

export interface SpanCapture {
  /** Connects the probes of a new config. The sinks stay the same, so unchanged probes can continue. */
  connect(enabled: readonly EnabledProbe[]): void;
  /** The enabled probes, connected to the sinks, and the helper probes. */
  readonly probes: EnabledProbe[];
  /** Helper probe for a buffer with only applications' markers. Undefined if no kind uses markers. */
  topLevelMarkers: EnabledProbe | undefined;
  /** Returns whether each kind of traces works. */
  status(helpers: readonly ProbeStatus[], probes: readonly ProbeStatus[]): KindStatus[];
  /** Name of the probe that reports the operations of a kind; SPANS for a helper probe. */
  reporter(kind: string): string;
  /** Stops (`true`) or resumes making traces. Without the helpers' events, traces would lack the causes of waits. */
  pause(isPaused: boolean): void;
  /** Returns the finished traces. Called about once a second. */
  take(): TraceRecord[];
  /** Starts the time limit for making the last traces. */
  end(): void;
}

export interface SpanCaptureParts extends Pick<PlanInput, 'enabled' | 'host' | 'store' | 'isSelf'> {
  config: SpansConfig;
  cpuCount: number;
  taskFacts?: SpanDeps['taskFacts'] | undefined;
}

export function openSpanCapture(parts: SpanCaptureParts): SpanCapture {
  const { config, host, store, cpuCount, isSelf } = parts;
  let labelsOf = seriesOf(parts.enabled, host);
  const traceNow = makeTraceClock();
  const wall = makeWallClock(traceNow);
  const contexts = TASK_KINDS.some((kind) => config.kinds[kind] !== undefined)
    ? makeAppContexts(declareMarkerCounts(store))
    : undefined;
  const spans = makeSpans(
    config,
    {
      counts: declareSpanCounts(store, config, ['over_budget', 'pruned']),
      now: traceNow,
      wallTime: wall.at,
      matcher: globMatcher,
      errnoName: host.errnoName,
      parentOf: contexts?.parentOf ?? (() => undefined),
      taskClass: (pid) => host.taskClasses?.now(pid) ?? NORMAL,
      taskFacts: parts.taskFacts ?? (() => ({ attributes: {}, resource: {} })),
      seriesOf: (name, values, cpu, pid) => labelsOf(name, values, cpu, pid),
      random: makeRandom(),
      isSelf,
      cpuCount,
    },
    performance.now(),
  );
  const sinks = { ...spans.sinks, markers: contexts?.sink };
  let probes = withSinks(parts.enabled, sinks, { config, host });
  return {
    connect: (enabled) => {
      labelsOf = seriesOf(enabled, host);
      probes = withSinks(enabled, sinks, { config, host });
    },
    get probes() {
      return probes;
    },
    topLevelMarkers: contexts && {
      module: topLevelMarkers,
      options: HELPER_OPTIONS,
      onlyFor: SPANS,
      intervals: { markers: contexts.sink },
    },
    status: (helpers, statuses) => kindStatus(config, probes, [...helpers, ...statuses]),
    reporter: (kind) => {
      const needed = reporterOf(kind);
      const isReported = probes.some(
        ({ module, intervals, onlyFor }) => module.name === needed && intervals && onlyFor === undefined,
      );
      return isReported ? needed : SPANS;
    },
    pause: spans.pause,
    take: () => {
      wall.refresh();
      contexts?.sweep(traceNow());
      return spans.take(performance.now());
    },
    end: () => spans.endAt(traceNow() + LAST_TRACES_NS),
  };
}

/** Generates 4 KiB at a time: a call of `getRandomValues` per id would cost more than all other work for a span. */
function makeRandom(): (into: Uint8Array) => void {
  const page = new Uint8Array(4096);
  let used = page.length;
  return (into) => {
    if (used + into.length > page.length) {
      getRandomValues(page);
      used = 0;
    }
    into.set(page.subarray(used, used + into.length));
    used += into.length;
  };
}

/** Connects probes that report all operations of their kind. Adds helper probes for the other kinds. */
function withSinks(
  enabled: readonly EnabledProbe[],
  sinks: IntervalSinks,
  { config, host }: { config: SpansConfig; host: HostFacts },
): EnabledProbe[] {
  const helpers: EnabledProbe[] = [];
  const help = (module: EnabledProbe['module'], options: CommonOptions): void => {
    helpers.push({ module, options, onlyFor: SPANS, intervals: sinks });
  };
  const connected = enabled.map((probe) => {
    const reports = probe.module.reporting?.reportsAll?.(probe.options, sinks, host) ?? true;
    return reports ? { ...probe, intervals: sinks } : probe;
  });
  for (const module of probeCatalogue) {
    const { name, reporting } = module;
    const isReported = connected.some((one) => one.module.name === name && one.intervals !== undefined);
    if (isReported || !reporting?.helper || sinks[name as keyof IntervalSinks] === undefined) continue;
    const options = reporting.helper(config.kinds[name as SpanKind]?.include);
    help(module, { ...HELPER_OPTIONS, ...options });
  }
  if (sinks.tasks !== undefined) {
    const options: TaskIntervalOptions = {
      ...HELPER_OPTIONS,
      also: WORK_PROBES.filter((name) => enabled.some(({ module }) => module.name === name)),
    };
    help(taskIntervals, options);
  }
  if (sinks.markers !== undefined) help(traceMarkers, HELPER_OPTIONS);
  return [...connected, ...helpers];
}

/** Finds the label values of the histogram series that counts an operation; undefined if no series counts it. */
function seriesOf(enabled: readonly EnabledProbe[], host: HostFacts): SpanDeps['seriesOf'] {
  const probes = new Map(
    enabled.map(({ module: { name, reporting }, options }) => {
      const counts = reporting?.counts?.(options) ?? (() => true);
      return [name, { options, counts, withoutContainers: reporting?.withoutContainers }];
    }),
  );
  return (name, values, cpu, pid) => {
    const probe = probes.get(name);
    if (probe === undefined || !probe.counts(values[0])) return undefined;
    const { per_cpu, per_container } = probe.options;
    const { containers } = host;
    if (per_container && containers !== undefined && !probe.withoutContainers) {
      const labels = containers.labels(containers.table[pid]);
      return labels && [...values, ...labels];
    }
    return per_cpu ? [...values, String(cpu)] : values;
  };
}

function reporterOf(kind: string): string {
  return kind === 'sched' ? taskIntervals.name : kind;
}

function kindStatus(
  config: SpansConfig,
  probes: readonly EnabledProbe[],
  statuses: readonly ProbeStatus[],
): KindStatus[] {
  return Object.entries(config.kinds).map(([kind, { include = ['*'] }]) => {
    const isOfMetrics = kind === 'metrics';
    const isNamed = globMatcher(include);
    const needed = probes.filter(({ module }) =>
      isOfMetrics
        ? module.metrics.some((one) => one.isOfTask && isNamed(metricName(one)))
        : module.name === reporterOf(kind),
    );
    const ofIt = statuses.filter(({ name }) => needed.some(({ module }) => module.name === name));
    // The kind `metrics` needs one working probe. Every other kind needs all its probes, including helpers.
    const status = ofIt.find(({ up }) => up === isOfMetrics) ?? ofIt.at(0);
    if (status?.up === true) return { kind, up: true, reason: '' };
    const isThere = needed.some(({ intervals }) => intervals !== undefined);
    const missing = isOfMetrics
      ? `no enabled metric that measures times of tasks is named ${include.join(' or ')}`
      : `the probe ${reporterOf(kind)} is off`;
    return { kind, up: false, reason: isThere ? (status?.reason ?? 'its probe is not set up') : missing };
  });
}
