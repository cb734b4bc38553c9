/** Copies pages from the kernel to a trace.dat file without changes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentConfig } from '../../config/schema.ts';
import { loadPage, makePage } from '../../decode/page.ts';
import { listBlockDevices } from '../../host/block-devices.ts';
import { type ContainerTable, openContainerTable } from '../../host/container-table.ts';
import { onlineCpus } from '../../host/cpus.ts';
import { liveHostFacts } from '../../host/facts.ts';
import { isFirstPidNamespace } from '../../host/kernel-numbers.ts';
import { MetricStore } from '../../metrics/store.ts';
import { UsageError } from '../../model/errors.ts';
import { NAMELESS } from '../../model/function-names.ts';
import type { Log } from '../../model/log.ts';
import type { TraceMetadata } from '../../model/source.ts';
import { containerMarkers } from '../../tracedat/recorded-containers.ts';
import { factsMarkers } from '../../tracedat/recorded-facts.ts';
import { type CaptureWriter, openCaptureWriter } from '../../tracedat/write.ts';
import { kernelFeatures } from '../../tracefs/features.ts';
import { createInstance } from '../../tracefs/instance.ts';
import { findTracefs } from '../../tracefs/mount.ts';
import { containerNotes, withContainers } from '../plan/containers.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import { type EnabledProbe, type EventPlan, planEvents } from '../plan/plan.ts';
import { makeSelfMetrics } from '../plan/self-metrics.ts';
import { bufferSizes } from '../plan/sizes.ts';
import { type RecordedTracer, recordedTracer } from './record-tracer.ts';
import { recordingInstance } from './recording-instance.ts';
import { symbolsText } from './symbols-text.ts';

/** The only sub-buffer size that all programs that read trace.dat accept. */
const SUBBUFFER_BYTES = 4096;
const TICK_MS = 50;
/** Interval between two recordings of the container table: names can change, and events do not show every task. */
const MARK_CONTAINERS_MS = 5000;
/** Record types of tracers. The file gets their formats, if the kernel has them, although they cannot be enabled. */
export const TRACER_FORMATS = ['funcgraph_entry', 'funcgraph_exit', 'osnoise', 'timerlat', 'hwlat'];
/** Maximum number of pages per CPU and tick. Reading can cause new events, so a tick might never end otherwise. */
const MOST_PAGES_A_TICK = 4096;

export interface RecordOptions {
  file: string;
  durationMs: number;
  log: Log;
  signal?: AbortSignal;
}

export interface Recorded {
  pages: number;
  bytes: number;
  events: number;
  lost: number;
}

/**
 * Ends after `durationMs` or when `signal` aborts. Removes everything that it created in tracefs. Throws a
 * `KernelError`, or a `UsageError` if the config cannot be recorded.
 */
export async function recordCapture(config: AgentConfig, options: RecordOptions): Promise<Recorded> {
  const root = findTracefs({ path: config.tracefsPath, mayMount: true });
  const enabled = enabledProbes(config);
  const base = createInstance(root, recordingInstance(config));
  try {
    const tracer = recordedTracer(base, enabled, config, options.log);
    try {
      return await recordFrom(tracer, enabled, config, options);
    } finally {
      tracer.close();
    }
  } finally {
    base.remove();
  }
}

async function recordFrom(
  tracer: RecordedTracer,
  enabled: readonly EnabledProbe[],
  config: AgentConfig,
  options: RecordOptions,
): Promise<Recorded> {
  const { instance } = tracer;
  const features = kernelFeatures(instance.root);
  const store = new MetricStore();
  const online = onlineCpus();
  const containers = config.containers && openContainerTable(config.containers);
  const plan = planEvents({
    enabled: withContainers(enabled, containers),
    metadata: instance.metadata(),
    host: liveHostFacts({ machine: features.machine }),
    onlineCpus: online,
    store,
    self: makeSelfMetrics(store),
    isSelf: () => false,
    // Only a replay looks up function names, in the symbols that the file contains.
    functions: () => NAMELESS,
  });
  for (const { name, up, reason } of plan.probes)
    if (!up) options.log.warn({ probe: name, reason }, 'probe is off');
  if (plan.types.length === 0)
    throw new UsageError('nothing to record: no enabled probe has an event on this kernel');

  const sizes = bufferSizes(config.buffer, { cpus: online.length, realtime: features.realtime }, plan.rate);
  instance.prepare({ ...sizes, subbufferBytes: SUBBUFFER_BYTES, clock: 'mono' });
  tracer.start();
  const metadata = instance.metadata();
  const { events } = plan;
  const writer = openCaptureWriter(options.file, { metadata, events, ftraceFormats: TRACER_FORMATS });
  try {
    containers?.procIsHosts(isFirstPidNamespace() === true);
    for (const reason of containers ? containerNotes(containers, plan.helpers) : [])
      options.log.warn({ reason }, 'containers are not recorded completely');
    return await copyPages(tracer, { plan, metadata, writer, containers }, options);
  } finally {
    writer.discard();
  }
}

interface Into {
  plan: EventPlan;
  metadata: TraceMetadata;
  writer: CaptureWriter;
  containers: ContainerTable | undefined;
}

async function copyPages(tracer: RecordedTracer, into: Into, options: RecordOptions): Promise<Recorded> {
  const { instance } = tracer;
  const { plan, metadata, writer, containers } = into;
  const { layout } = metadata;
  const source = instance.openPages();
  const page = makePage(layout);
  const everRead = new Set(source.cpus());
  const done: Recorded = { pages: 0, bytes: 0, events: 0, lost: 0 };

  const drain = (untilEmpty: boolean) => {
    for (const cpu of source.cpus()) {
      for (
        let pagesLeft = untilEmpty ? Number.POSITIVE_INFINITY : MOST_PAGES_A_TICK;
        pagesLeft > 0;
        pagesLeft--
      ) {
        const length = source.readPage(cpu, page.bytes);
        if (length === 0) break;
        const broken = loadPage(page, layout, length) !== undefined;
        if (!broken && page.end === layout.dataOffset && !page.lost) break;
        writer.addPage(cpu, page.bytes.subarray(0, length));
        done.pages++;
        done.bytes += length;
        // The kernel is probably still writing to this page. Leave the CPU until the next tick.
        if (!untilEmpty && !broken && page.end < layout.pageSize / 2) break;
      }
    }
  };

  const markContainers = () => {
    for (const line of containerMarkers(containers?.parts() ?? [])) instance.writeMarker(line);
  };
  try {
    instance.start();
    for (const line of factsMarkers(listBlockDevices())) instance.writeMarker(line);
    // The first events need the containers of their tasks. Tasks can start or move before the events are enabled.
    markContainers();
    instance.enable(plan.events);
    markContainers();
    let markedMs = performance.now();
    const endsAt = performance.now() + options.durationMs;
    while (performance.now() < endsAt && !options.signal?.aborted) {
      await sleep(Math.min(TICK_MS, Math.max(1, endsAt - performance.now())));
      drain(false);
      source.refresh();
      for (const cpu of source.cpus()) everRead.add(cpu);
      if (performance.now() - markedMs < MARK_CONTAINERS_MS) continue;
      markContainers();
      markedMs = performance.now();
    }
    markContainers();
    instance.stop();
    drain(true);
  } finally {
    // The kernel refuses to change the tracer while the page files are open.
    source.close();
  }
  const kallsyms = plan.readsAddresses ? symbolsText(instance.root, options.log) : '';
  const stats = [...everRead].map((cpu) => instance.stats(cpu));
  for (const s of stats) {
    done.events += s.readEvents;
    done.lost += s.overrun + s.commitOverrun + s.droppedEvents;
  }
  writer.finish({ stats, cmdlines: instance.savedCmdlines(), kallsyms });
  return done;
}
