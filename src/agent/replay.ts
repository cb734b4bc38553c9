/** A capture file instead of the running kernel: the same plan, pipeline and probes, read once to its end. */
import { brokenPages } from '../capture/broken-pages.ts';
import { openCapture } from '../capture/read.ts';
import type { AgentConfig } from '../config/schema.ts';
import { bytesReader, textOf } from '../decode/fields.ts';
import type { PageError } from '../decode/page.ts';
import { capturedHostFacts } from '../host/facts.ts';
import { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { MetricSnapshot } from '../model/metric.ts';
import type { BufferStats } from '../model/source.ts';
import type { CaptureStatus } from '../model/status.ts';
import type { Capture } from './capture.ts';
import { enabledProbes } from './enabled-probes.ts';
import { inNanoseconds, withoutDurations } from './foreign-stamps.ts';
import { Pipeline } from './pipeline.ts';
import { planEvents } from './plan.ts';
import { factsReader } from './recorded-facts.ts';
import { NEVER, pagesOf, replaySource } from './replay-source.ts';
import { type BufferReading, makeSelfMetrics } from './self-metrics.ts';

/** Name of the events buffer in labels, as for a live capture. */
const BUFFER = 'events';

export interface ReplayOptions {
  log: Log;
  /** Pages read from one CPU at a time; the outcome is the same for any. */
  pagesPerRound?: number;
  /** The buffer to replay; by default the top level's or, where that is empty, the first that is not. */
  instance?: string | undefined;
  /** Told for every page that is read. */
  onProgress?: (pages: number, ofPages: number) => void;
}

/** Replays a whole capture; what the file could not give is in the status' warnings. Throws when it is none. */
export function openReplay(config: AgentConfig, file: string, options: ReplayOptions): Capture {
  const { log, instance, onProgress } = options;
  const capture = openCapture(file, { instance });
  const store = new MetricStore();
  const self = makeSelfMetrics(store);
  const { metadata } = capture;
  const cpus = capture.source.cpus();
  const blockDevices = new Map<number, string>();
  const plan = planEvents({
    enabled: enabledProbes(config),
    metadata,
    host: capturedHostFacts({ machine: metadata.machine, blockDevices }),
    onlineCpus: cpus,
    store,
    self,
    isSelf: () => false,
    extra: {
      'ftrace:print': (format) => {
        const text = bytesReader(format, 'buf');
        return factsReader((record) => textOf(text, record), blockDevices);
      },
    },
  });
  self.probesAre(plan.probes);
  for (const { name, up, reason } of plan.probes)
    if (!up) log.info({ probe: name, reason }, 'a probe is off');
  const lossy = new Set<number>();
  const ofPages = pagesOf(capture);
  let hasErrors = false;
  const stamped = inNanoseconds(plan, capture.nsPerStamp ?? 1);
  const pipeline = new Pipeline({
    source: replaySource(capture, (pages) => onProgress?.(pages, ofPages)),
    layout: metadata.layout,
    plan: {
      ...stamped,
      onLoss: (cpu, until) => {
        if (until < NEVER) lossy.add(cpu);
        stamped.onLoss(cpu, until);
      },
    },
    onError: (_cpu: number, error: PageError) => {
      hasErrors = true;
      self.decodeError(error);
    },
    ...(options.pagesPerRound ? { pagesPerRound: options.pagesPerRound } : {}),
  });
  pipeline.flush();
  capture.close();
  const warnings = [...capture.problems, ...(hasErrors ? brokenPages(file, { instance }) : [])];
  for (const warning of warnings) log.warn({ file }, warning);
  for (const cpu of cpus) {
    if (capture.isCut(cpu))
      warnings.push(`CPU ${cpu}: its end is missing: what was under way then, on any CPU, has no duration`);
    if (!lossy.has(cpu)) continue;
    // Behind a page that is full there is no room for how many they were: the counts in the file are complete.
    const counted = capture.stats.find((s) => s.cpu === cpu)?.overrun ?? 0;
    const lost = Math.max(counted, pipeline.merger.flaggedLost(cpu)) || 'an unknown number of';
    const loss = `CPU ${cpu}: ${lost} events were lost in recording: what they were part of has no duration`;
    // Not a warning: the recording says so itself, and its metrics count them.
    log.info({ file }, loss);
    warnings.push(loss);
  }

  const readings = cpus.map(
    (cpu): BufferReading => ({
      cpu,
      events: pipeline.merger.events(cpu),
      bytes: pipeline.bytesRead(cpu),
      stats: capture.stats.find((s) => s.cpu === cpu) ?? flaggedStats(cpu, pipeline.merger.flaggedLost(cpu)),
      capacityBytes: 0,
    }),
  );
  const events = readings.reduce((sum, reading) => sum + reading.events, 0);
  self.update(BUFFER, readings);
  self.lateEventsAre(pipeline.lateEvents());

  const status: CaptureStatus = {
    source: 'replay',
    kernelRelease: metadata.kernelRelease,
    machine: metadata.machine,
    clock: metadata.clock,
    tracefs: '',
    instance: file,
    reader: 'capture',
    cpus: cpus.length,
    bufferBytesPerCpu: 0,
    subbufferBytes: metadata.layout.pageSize,
    buffers: [],
    tickMs: 0,
    probes: [...plan.probes],
    loss: readings.map(({ cpu, events: read, stats }) => ({
      buffer: BUFFER,
      cpu,
      read,
      overrun: stats?.overrun ?? 0,
      commitOverrun: stats?.commitOverrun ?? 0,
      dropped: stats?.droppedEvents ?? 0,
    })),
    warnings,
    cost: { cpuSeconds: 0, events },
  };
  return {
    problem: '',
    snapshot: (known) => {
      const { families } = store.snapshot(known);
      return { families: capture.nsPerStamp === undefined ? withoutDurations(families) : families };
    },
    status: () => status,
    latency: () => undefined,
    stop: async () => {},
  };
}

/** Counts of a CPU of which the file has none: what its pages say. Undefined when they say nothing. */
function flaggedStats(cpu: number, overrun: number): BufferStats | undefined {
  if (overrun === 0) return undefined;
  return { cpu, overrun, entries: 0, commitOverrun: 0, droppedEvents: 0, readEvents: 0, bytes: 0 };
}

/** Replays a capture in this thread, for `replay` without a server. */
export async function replayCapture(
  config: AgentConfig,
  file: string,
  options: ReplayOptions,
): Promise<{ snapshots: MetricSnapshot[]; status: CaptureStatus }> {
  const capture = openReplay(config, file, options);
  return { snapshots: [capture.snapshot({})], status: capture.status() };
}
