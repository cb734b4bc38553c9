/**
 * How long do soft interrupts wait, and how long do they run? A wait begins with the first raise of a vector since its
 * last run. The duration of a run includes hard interrupts. On real-time kernels, soft interrupts run in threads, so a
 * CPU can have several unfinished runs. CPU, pid and vector identify a run.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import { flagPairs } from '../decode/print-fmt.ts';
import type { EventHandler } from '../model/record.ts';
import { SOFTIRQS } from '../model/softirqs.ts';
import type { TimestampNs } from '../model/time.ts';
import { declareCpuCounts, declareDurations } from './families.ts';
import type { CommonOptions, Probe, ProbeContext, ProbeModule } from './probe.ts';

const RAISE = 'irq:softirq_raise';
const ENTRY = 'irq:softirq_entry';
const EXIT = 'irq:softirq_exit';

const LATENCY = {
  name: 'ftrace_softirq_latency_seconds',
  help: 'Time a soft interrupt waited, from when it was first raised until it started.',
  labels: ['vector'],
};
const DURATION = {
  name: 'ftrace_softirq_duration_seconds',
  help: 'Time that one run of a soft interrupt took, including hard interrupts during the run.',
  labels: ['vector'],
};
const TIME = {
  name: 'ftrace_softirq_seconds_total',
  help: 'Time that a CPU spent in soft interrupts, by vector.',
  labels: ['cpu', 'vector'],
};

/** The number of bits in `unseen`. Kernels have ten vectors. */
const VECTORS = 32;
const ALL_VECTORS = -1;
/** Maximum number of unfinished runs per CPU. Only real-time kernels have more than one. */
const PLACES = 4;

export const softirq: ProbeModule = {
  name: 'softirq',
  help: 'How long soft interrupts wait to run, and how long they take.',
  byDefault: true,
  rate: 'low',
  schema: ({ probeSchema }) =>
    probeSchema({ enabled: true, per_cpu: false, max_series: 500, buckets: decimalBuckets(1e-6, 0.1) }, {}),
  needs: () => [
    { event: ENTRY, fields: ['vec', 'common_pid'] },
    {
      event: EXIT,
      fields: ['vec', 'common_pid'],
      without: 'run times of soft interrupts are not measured',
    },
    { event: RAISE, fields: ['vec'], without: 'latencies of soft interrupts are not measured' },
  ],
  create: createSoftirq,
  metrics: [LATENCY, DURATION, TIME],
};

function createSoftirq(context: ProbeContext, options: CommonOptions): Probe {
  const state = makeState(context, options);
  const { cpuCount } = context;
  const { runs, raisedAt, unseen, lostUntil, hasRaise, hasExit } = state;
  const handlers: Record<string, EventHandler> = { [ENTRY]: onEntry(context, state) };
  if (hasRaise) handlers[RAISE] = onRaise(context, state);
  if (hasExit) handlers[EXIT] = onExit(context, state);
  return {
    handlers,
    onLoss: (cpu, untilNs) => {
      if (cpu >= cpuCount) return;
      if (untilNs > lostUntil[cpu]) lostUntil[cpu] = untilNs;
      raisedAt.fill(0, cpu * VECTORS, (cpu + 1) * VECTORS);
      runs.clear(cpu);
      unseen[cpu] = ALL_VECTORS;
    },
  };
}

type State = ReturnType<typeof makeState>;

function makeState(context: ProbeContext, options: CommonOptions) {
  const { cpuCount } = context;
  const names = vectorNames(context);
  const labels = (row: number) => [names[row]];
  const latency = declareDurations(context, LATENCY, options, labels);
  const duration = declareDurations(context, DURATION, options, labels);
  // Each series appears with its first event, because most series could stay unused.
  const time = declareCpuCounts(context, TIME, { unit: 'seconds', divisor: 1e9, rowsShown: 0, rest: labels });
  const noStart = context.unmatched('no_start');
  const noEnd = context.unmatched('no_end');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');
  const evicted = context.unmatched('evicted');
  /**
   * By CPU: bit mask of the vectors that have not run since the last loss of events. Their missing events count as
   * `lost`.
   */
  const unseen = new Int32Array(cpuCount);
  return {
    names,
    latency,
    duration,
    time,
    noStart,
    noEnd,
    lost,
    late,
    runs: makeRuns(cpuCount, evicted),
    /** By CPU and vector: time of the first raise since the last run; 0 if none. */
    raisedAt: new Float64Array(cpuCount * VECTORS),
    unseen,
    /** By CPU: end of the last loss of events. Records of earlier events can arrive after `onLoss`. */
    lostUntil: new Float64Array(cpuCount),
    hasRaise: context.format(RAISE) !== undefined,
    hasExit: context.format(EXIT) !== undefined,
    missingStart: (cpu: number, vector: number): void => {
      if ((unseen[cpu] & (1 << vector)) !== 0) lost();
      else noStart();
    },
  };
}

/** Tracks unfinished runs. A place is the index of a run. */
function makeRuns(cpuCount: number, evicted: () => void) {
  /** Start times: `PLACES` elements per CPU; 0 if the place is free. */
  const startedAt = new Float64Array(cpuCount * PLACES);
  const pids = new Int32Array(cpuCount * PLACES);
  const vectors = new Int32Array(cpuCount * PLACES);
  /** Returns a free place. If there is none, evicts the oldest run. */
  const newPlace = (cpu: number): number => {
    const first = cpu * PLACES;
    let oldest = first;
    for (let i = first; i < first + PLACES; i++) if (startedAt[i] < startedAt[oldest]) oldest = i;
    if (startedAt[oldest] !== 0) evicted();
    return oldest;
  };
  return {
    startedAt,
    /** Returns the place of a run; -1 if there is none. */
    place: (cpu: number, pid: number, vector: number): number => {
      const first = cpu * PLACES;
      for (let i = first; i < first + PLACES; i++) {
        if (startedAt[i] !== 0 && pids[i] === pid && vectors[i] === vector) return i;
      }
      return -1;
    },
    add: (cpu: number, pid: number, vector: number, now: TimestampNs): void => {
      const place = newPlace(cpu);
      startedAt[place] = now;
      pids[place] = pid;
      vectors[place] = vector;
    },
    clear: (cpu: number): void => {
      startedAt.fill(0, cpu * PLACES, (cpu + 1) * PLACES);
    },
  };
}

function onRaise(context: ProbeContext, { raisedAt }: State): EventHandler {
  const { cpuCount } = context;
  const raiseVector = context.int(RAISE, 'vec');
  return (record) => {
    const vector = raiseVector(record);
    if (vector >= VECTORS || record.cpu >= cpuCount) return;
    const at = record.cpu * VECTORS + vector;
    if (raisedAt[at] === 0) raisedAt[at] = record.timestampNs;
  };
}

function onEntry(context: ProbeContext, state: State): EventHandler {
  const { cpuCount } = context;
  const { latency, noStart, noEnd, lost, late, runs, raisedAt, unseen, lostUntil, missingStart } = state;
  const { hasRaise, hasExit } = state;
  const entryVector = context.int(ENTRY, 'vec');
  const entryPid = context.int(ENTRY, 'common_pid');
  return (record) => {
    const vector = entryVector(record);
    const { cpu, timestampNs: now } = record;
    if (vector >= VECTORS || cpu >= cpuCount) {
      noStart();
      return;
    }
    const at = cpu * VECTORS + vector;
    const raised = raisedAt[at];
    if (!hasRaise) {
      // The latency is unknown.
    } else if (raised === 0) missingStart(cpu, vector);
    else if (raised < lostUntil[cpu]) lost();
    else if (now < raised) late();
    else latency.record(vector, cpu, now - raised);
    raisedAt[at] = 0;
    unseen[cpu] &= ~(1 << vector);
    if (!hasExit) return;
    const pid = entryPid(record);
    const run = runs.place(cpu, pid, vector);
    if (run < 0) {
      runs.add(cpu, pid, vector, now);
      return;
    }
    noEnd();
    runs.startedAt[run] = now;
  };
}

function onExit(context: ProbeContext, state: State): EventHandler {
  const { cpuCount } = context;
  const { names, duration, time, noStart, lost, late, lostUntil, missingStart } = state;
  const { place, startedAt } = state.runs;
  const sink = context.intervals.interrupts;
  const longNs = sink?.thresholdNs ?? Number.POSITIVE_INFINITY;
  const exitVector = context.int(EXIT, 'vec');
  const exitPid = context.int(EXIT, 'common_pid');
  return (record) => {
    const vector = exitVector(record);
    const { cpu, timestampNs: now } = record;
    if (vector >= VECTORS || cpu >= cpuCount) {
      noStart();
      return;
    }
    const run = place(cpu, exitPid(record), vector);
    if (run < 0) {
      missingStart(cpu, vector);
      return;
    }
    const start = startedAt[run];
    startedAt[run] = 0;
    const ns = now - start;
    if (start < lostUntil[cpu]) lost();
    else if (ns < 0) late();
    else {
      duration.record(vector, cpu, ns);
      time.add(vector, cpu, ns);
      if (ns >= longNs) sink?.ended('softirq', names[vector], cpu, now - ns, now);
    }
  };
}

/** Returns the names of vectors from the event's print fmt, else from `SOFTIRQS`. */
function vectorNames(context: ProbeContext): string[] {
  const names = Array.from({ length: VECTORS }, (_, vector) => SOFTIRQS[vector] ?? `vector_${vector}`);
  const format = context.format(ENTRY);
  for (const [vector, name] of format === undefined ? [] : flagPairs(format)) {
    if (vector >= 0 && vector < VECTORS) names[vector] = name;
  }
  return names;
}
