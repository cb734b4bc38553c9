/** Replays a recording with the planner, streams and probes of a live capture. */

import type { AgentConfig } from '../../config/schema.ts';
import { syscallTable } from '../../host/syscalls.ts';
import { MetricStore } from '../../metrics/store.ts';
import { UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { CaptureStatus } from '../../model/status.ts';
import { headOf, isTraceDat } from '../../tracedat/head.ts';
import { looksLikeTraceText } from '../../tracetext/text-file.ts';
import { whatItIs } from '../../tracetext/text-refusals.ts';
import type { Capture } from '../contract/capture.ts';
import { lossOf, NOTHING_LOST } from '../plan/loss-ledger.ts';
import type { EventPlan } from '../plan/plan.ts';
import { type BufferReading, makeSelfMetrics } from '../plan/self-metrics.ts';
import type { EventStream } from '../stream/stream.ts';
import { inNanoseconds, withoutDurations } from './foreign-stamps.ts';
import { recordHistory } from './recorded-history.ts';
import { openPages } from './recorded-pages.ts';
import { planRecording } from './recorded-plan.ts';
import { openText } from './recorded-text.ts';
import type { OpenOptions, Recording } from './recording.ts';
import { NEVER } from './replay-source.ts';

/** Value of the label `buffer`, the same as in a live capture. */
const BUFFER = 'events';

export interface ReplayOptions {
  log: Log;
  /** Pages to read from one CPU before the next CPU. Does not change the result. */
  pagesPerRound?: number;
  /** Name of the buffer to replay. Default: the top level's buffer or, if it is empty, the first non-empty buffer. */
  instance?: string | undefined;
  /** Counts pages (trace.dat) or bytes (text). */
  onProgress?: (done: number, total: number) => void;
  /** Whether to keep the history of the metrics for the web page. */
  withHistory?: boolean;
}

/** Throws a `UsageError` if the file is not a recording, or a `KernelError` if it cannot be read. */
export function openReplay(config: AgentConfig, file: string, options: ReplayOptions): Capture {
  const { log, instance, pagesPerRound, onProgress = () => {}, withHistory = false } = options;
  const recording = openRecording(file, { instance, pagesPerRound, onProgress });
  try {
    return replay(recording, config, file, { log, withHistory });
  } finally {
    recording.close();
  }
}

function openRecording(file: string, options: OpenOptions): Recording {
  const head = headOf(file);
  if (isTraceDat(head)) return openPages(file, options);
  if (looksLikeTraceText(head)) return openText(file, options);
  throw new UsageError(`${file} ${whatItIs(head)}`);
}

function replay(
  recording: Recording,
  config: AgentConfig,
  file: string,
  { log, withHistory }: { log: Log; withHistory: boolean },
): Capture {
  const { metadata, cpus, latency, nsPerStamp } = recording;
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  const plan = planRecording(recording, config, store, self);
  self.probesAre(plan.probes);
  logProbes(plan.probes, log);
  const lossy = new Set<number>();
  let hasErrors = false;
  // Without a unit of the timestamps, the history would have no time axis.
  const timed = withHistory && nsPerStamp !== undefined ? recordHistory(plan, () => snapshotNow()) : { plan };
  const stamped = inNanoseconds(timed.plan, nsPerStamp ?? 1);
  const stream = recording.stream(
    {
      ...stamped,
      onLoss: (cpu, until) => {
        if (until < NEVER) lossy.add(cpu);
        stamped.onLoss(cpu, until);
      },
      onBroken: stamped.onLoss,
    },
    (_cpu, error) => {
      hasErrors = true;
      self.decodeError(error);
    },
  );
  const snapshotNow = () => {
    // Leave out losses, because the recording contains only the total losses of its whole duration.
    self.update(
      BUFFER,
      cpus.map((cpu) => ({ ...readingOf(recording, stream, cpu), loss: undefined })),
    );
    return store.snapshot();
  };
  stream.flush();
  const history = timed.end?.();
  if (latency !== undefined) plan.onLatency(latency.latencyNs, '');
  const warnings = [
    ...plan.end(),
    ...recording.problems(hasErrors),
    ...unnamedSyscalls(plan, metadata.machine),
  ];
  for (const warning of warnings) log.warn({ file }, warning);
  const readings = cpus.map((cpu) => readingOf(recording, stream, cpu));
  for (const { cpu, loss: counted } of readings) {
    if (recording.isCut(cpu))
      warnings.push(
        `CPU ${cpu}: the end of its recording is missing: operations that had not ended by then, on any CPU, have no duration`,
      );
    if (!lossy.has(cpu)) continue;
    // A full page has no space for the number of events that were lost before it, so this sum can be too low.
    const lost = Math.max(counted?.overrun ?? 0, stream.flaggedLost(cpu)) || 'an unknown number of';
    const loss = `CPU ${cpu}: ${lost} events were lost while recording: the operations to which they belong have no duration`;
    // Not a warning: the loss is a part of the recording, and the metrics count it.
    log.info({ file }, loss);
    warnings.push(loss);
  }
  self.update(BUFFER, readings);
  self.probeEventsAre(plan.eventCounts());
  self.lateEventsAre(stream.lateEvents());
  store.rotate(performance.now());

  const status: CaptureStatus = {
    source: 'replay',
    kernelRelease: metadata.kernelRelease,
    machine: metadata.machine,
    clock: metadata.clock,
    tracefs: '',
    instance: file,
    reader: recording.reader,
    cpus: cpus.length,
    bufferBytesPerCpu: 0,
    subbufferBytes: recording.subbufferBytes,
    buffers: [],
    tickMs: 0,
    probes: [...plan.probes],
    kinds: [],
    loss: lossOf(BUFFER, readings),
    warnings,
    cost: { cpuSeconds: 0, events: readings.reduce((sum, { events }) => sum + events, 0) },
  };
  return {
    problem: '',
    snapshot: (knownSeries) => {
      const { families } = store.snapshot(knownSeries);
      return { families: nsPerStamp === undefined ? withoutDurations(families) : families };
    },
    status: () => status,
    history: () => history,
    latency: (tracer) => (tracer === latency?.tracer ? [latency] : undefined),
    stop: async () => {},
  };
}

function logProbes(probes: EventPlan['probes'], log: Log): void {
  for (const { name, up, reason, notes = [] } of probes) {
    const limited = up
      ? 'probe is on, but with a limitation'
      : 'a name in the config of the probe matches nothing';
    if (!up) log.info({ probe: name, reason }, 'probe is off');
    for (const note of notes) log.info({ probe: name, reason: note }, limited);
  }
}

function unnamedSyscalls({ types }: EventPlan, machine: string): string[] {
  const areNumbers = types.some(({ event }) => event === 'raw_syscalls:sys_enter');
  if (!areNumbers || syscallTable(machine) !== undefined) return [];
  const whose = machine === '' ? 'an unnamed machine' : `the machine ${machine}`;
  return [`ftrace-exporter has no syscall names for ${whose}: all syscalls are labelled syscall="unknown"`];
}

function readingOf(recording: Recording, stream: EventStream, cpu: number): BufferReading {
  const stats = recording.stats(cpu);
  // Without loss counters in the file, use the losses that its pages or its text report.
  const overrun = stats?.overrun ?? stream.flaggedLost(cpu);
  return {
    cpu,
    events: stream.events(cpu),
    bytes: stream.bytesRead(cpu),
    loss:
      stats === undefined && overrun === 0
        ? undefined
        : {
            ...NOTHING_LOST,
            overrun,
            commitOverrun: stats?.commitOverrun ?? 0,
            dropped: stats?.droppedEvents ?? 0,
          },
    unreadBytes: stats?.bytes ?? 0,
    capacityBytes: 0,
  };
}

/** Replays a recording in the calling thread. */
export async function replayCapture(
  config: AgentConfig,
  file: string,
  options: ReplayOptions,
): Promise<{ snapshots: MetricSnapshot[]; status: CaptureStatus }> {
  const capture = openReplay(config, file, options);
  return { snapshots: [capture.snapshot({})], status: capture.status() };
}
