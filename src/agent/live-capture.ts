/** Capture of the running kernel: an own instance, set up for what the plan needs, drained on a timer. */
import { readFileSync } from 'node:fs';
import type { PageError } from '../decode/page.ts';
import { onlineCpus } from '../host/cpus.ts';
import { liveHostFacts } from '../host/facts.ts';
import { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { BufferStats } from '../model/source.ts';
import type { CaptureStatus, LossReport } from '../model/status.ts';
import { formatText, listEvents } from '../tracefs/events.ts';
import { kernelFeatures } from '../tracefs/features.ts';
import { createInstance, type Instance } from '../tracefs/instance.ts';
import { findTracefs } from '../tracefs/mount.ts';
import type { Capture } from './capture.ts';
import { type AgentConfig, enabledProbes } from './compose-config.ts';
import { startDraining } from './drain.ts';
import { makeOwnThreads } from './own-threads.ts';
import { Pipeline } from './pipeline.ts';
import { type EventPlan, planEvents } from './plan.ts';
import { type BufferReading, makeSelfMetrics, type SelfMetrics } from './self-metrics.ts';
import { bufferSizes } from './sizes.ts';

/** Name of the events instance in labels. */
const BUFFER = 'events';

export interface LiveOptions {
  log: Log;
  /** Has the main thread write a text to a trace marker, so that its thread id can be learned. */
  markFromMain(file: string, text: string): Promise<void>;
  /** Reading failed; the instance has been given up. */
  onFatal(error: unknown): void;
}

export async function openLiveCapture(config: AgentConfig, options: LiveOptions): Promise<Capture> {
  const { log } = options;
  const root = findTracefs({ ...(config.tracefsPath ? { path: config.tracefsPath } : {}), mayMount: true });
  const features = kernelFeatures(root);
  const instance = createInstance(root, config.instance);
  if (instance.leftover)
    log.warn({ instance: instance.name }, 'removed an instance that a killed agent had left');
  try {
    return await setUp();
  } catch (error) {
    instance.remove();
    throw error;
  }

  async function setUp(): Promise<Capture> {
    const store = new MetricStore();
    const self = makeSelfMetrics(store);
    const own = makeOwnThreads();
    const online = onlineCpus();
    const plan = planEvents({
      enabled: enabledProbes(config),
      metadata: {
        clock: 'mono',
        machine: features.machine,
        kernelRelease: features.kernelRelease,
        cpuCount: instance.cpuCount,
        events: () => listEvents(root),
        formatText: (event) => formatText(root, event),
      },
      host: liveHostFacts({ machine: features.machine }),
      onlineCpus: online,
      store,
      self,
      isSelf: own.has,
    });
    self.probesAre(plan.probes);
    for (const probe of plan.probes)
      if (!probe.up) log.warn({ probe: probe.name, reason: probe.reason }, 'probe is off');

    const sizes = bufferSizes(config.buffer, { cpus: online.length, realtime: features.realtime }, plan.rate);
    const inForce = instance.prepare({ ...sizes, clock: 'mono' });
    const warnings = [...features.warnings, ...inForce.warnings, ...(sizes.note ? [sizes.note] : [])];
    for (const warning of warnings) log.warn({}, warning);
    return runCapture();
  }
}
