/** A capture file instead of the running kernel: the same plan, pipeline and probes, read once to its end. */
import { openCapture } from '../capture/read.ts';
import type { AgentConfig } from '../config/schema.ts';
import { bytesReader, textOf } from '../decode/fields.ts';
import type { PageError } from '../decode/page.ts';
import { capturedHostFacts } from '../host/facts.ts';
import { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { MetricSnapshot } from '../model/metric.ts';
import type { CaptureStatus } from '../model/status.ts';
import type { Capture } from './capture.ts';
import { enabledProbes } from './enabled-probes.ts';
import { Pipeline } from './pipeline.ts';
import { planEvents } from './plan.ts';
import { factsReader } from './recorded-facts.ts';
import { type BufferReading, makeSelfMetrics } from './self-metrics.ts';

/** Name of the events buffer in labels, as for a live capture. */
const BUFFER = 'events';

export interface ReplayOptions {
  log: Log;
  /** Pages read from one CPU at a time; the outcome is the same for any. */
  pagesPerRound?: number;
}

/** Replays a whole capture; what the file could not give is in the status' warnings. Throws when it is none. */
export function openReplay(config: AgentConfig, file: string, options: ReplayOptions): Capture {
  const capture = openCapture(file);
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
  const pipeline = new Pipeline({
    source: capture.source,
    layout: metadata.layout,
    plan,
    onError: (_cpu: number, error: PageError) => self.decodeError(error),
    ...(options.pagesPerRound ? { pagesPerRound: options.pagesPerRound } : {}),
  });
  pipeline.flush();
  capture.close();
  const warnings = [...capture.problems];
  for (const warning of warnings) options.log.warn({ file }, warning);

  const readings = cpus.map((cpu): BufferReading => {
    const stats = capture.stats.find((s) => s.cpu === cpu);
    return {
      cpu,
      events: pipeline.merger.events(cpu),
      bytes: pipeline.bytesRead(cpu),
      stats,
      capacityBytes: 0,
    };
  });
  const events = readings.reduce((sum, reading) => sum + reading.events, 0);
  self.update(BUFFER, readings, pipeline.merger.lateEvents());

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
    snapshot: (known) => store.snapshot(known),
    status: () => status,
    stop: async () => {},
  };
}

/** Replays a capture in this thread, for `replay` without a server. */
export async function replayCapture(
  config: AgentConfig,
  file: string,
  log: Log,
): Promise<{ snapshots: MetricSnapshot[]; status: CaptureStatus }> {
  const capture = openReplay(config, file, { log });
  return { snapshots: [capture.snapshot({})], status: capture.status() };
}
