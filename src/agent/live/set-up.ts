/**
 * Sets up a capture of the running kernel. The instance for events always exists, because it reserves the agent's name.
 */

import type { AgentConfig } from '../../config/schema.ts';
import { onlineCpus } from '../../host/cpus.ts';
import { liveHostFacts } from '../../host/facts.ts';
import { watchModules } from '../../host/modules.ts';
import { MetricStore } from '../../metrics/store.ts';
import type { Log } from '../../model/log.ts';
import type { HostFacts } from '../../probes/probe.ts';
import { setOptions } from '../../tracefs/buffers.ts';
import { kernelFeatures } from '../../tracefs/features.ts';
import { createInstance } from '../../tracefs/instance.ts';
import { findTracefs } from '../../tracefs/mount.ts';
import { learnOwnThreads } from '../../tracefs/threads.ts';
import { textOptions } from '../../tracefs/trace-pipe.ts';
import type { Capture } from '../contract/capture.ts';
import { makeSelfMetrics } from '../plan/self-metrics.ts';
import { describe } from './describe.ts';
import { defineEvents } from './dynamic-events.ts';
import { eventSymbols } from './function-symbols.ts';
import { openKernelCounts } from './kernel-counts.ts';
import {
  type Kernel,
  type Live,
  memoryShare,
  openBuffers,
  planOfEvents,
  prepareEvents,
  replaceSources,
} from './live.ts';
import { makeOwnThreads } from './own-threads.ts';
import { type LiveOptions, runCapture } from './run.ts';
import { type Shared, shareOfMemory } from './shared.ts';
import { openSources } from './sources.ts';
import { failureOf, openTracers, type Tracers } from './tracers.ts';

/** On an error, removes everything that it has created. */
export async function openLiveCapture(config: AgentConfig, options: LiveOptions): Promise<Capture> {
  const { log } = options;
  const root = findTracefs({ path: config.tracefsPath, mayMount: true });
  const features = kernelFeatures(root);
  const instance = createInstance(root, config.instance);
  if (instance.leftover) log.warn({ instance: instance.name }, 'removed an instance left by a killed agent');
  let tracers: Tracers;
  try {
    tracers = openTracers(config, instance, log);
  } catch (error) {
    instance.remove();
    throw error;
  }
  const kernel: Kernel = { instance, root, features, tracers };
  try {
    return await setUp(config, kernel, options);
  } catch (error) {
    closeAll(kernel);
    throw error;
  }
}

/** Removes the instance for events last, because it reserves the agent's name. Returns the errors of all steps. */
function closeAll({ tracers, counts, events, dynamic, instance }: Kernel): unknown[] {
  const removeDynamic = () => dynamic?.remove(instance.dir);
  const steps = [tracers.close, () => counts?.close(), removeDynamic, () => events?.remove()];
  return [...steps, () => void instance.remove()].flatMap(failureOf);
}

async function setUp(config: AgentConfig, kernel: Kernel, options: LiveOptions): Promise<Capture> {
  const { instance, features, tracers } = kernel;
  const { log } = options;
  const host = liveHostFacts({ machine: features.machine });
  const shared = makeShared(config, kernel, host, log);
  const sources = openSources(config, { shared, cpuCount: instance.cpuCount });
  kernel.dynamic = defineEvents(kernel.root, config.instance, sources.enabled);
  kernel.counts = openKernelCounts(instance, shared.self);
  const symbols = eventSymbols(kernel.root);
  const planned = planOfEvents({ kernel, shared, symbols }, sources.enabled);
  const { plan } = planned;
  const share = memoryShare(sources.enabled);
  const sizes = shareOfMemory(shared, share, plan.events.length > 0 ? plan.rate : undefined);
  const inForce = prepareEvents(instance, sizes, { shared, enabled: sources.enabled });
  if (config.reader === 'trace_pipe') setOptions(instance, textOptions('nop'));
  const threads = await learnOwnThreads(instance, options.markFromMain);
  shared.own.add(threads.ids);
  log.debug({ threads: threads.ids, nested: threads.nested }, 'found the thread ids of the agent');
  sources.tasks?.procIsHosts(!threads.nested);
  host.taskClasses.procIsHosts(!threads.nested);
  sources.containers?.table.procIsHosts(!threads.nested);

  const live: Live = {
    ...{ kernel, shared, symbols, inForce, isNested: threads.nested },
    classProblem: () => host.taskClasses.problem(),
    warnings: [
      ...features.warnings,
      ...inForce.warnings,
      ...threads.warnings,
      ...(sizes.note ? [sizes.note] : []),
    ],
  };
  const opened = openBuffers(live, sources, planned);
  let now = { sources, state: describe(live, sources, opened) };
  return runCapture({
    shared,
    counts: kernel.counts,
    tracers,
    modules: watchModules(),
    refreshNames: symbols.refresh,
    // In another pid namespace than the host's, /proc shows other pids than the trace.
    followsThreads: !threads.nested,
    state: now.state,
    reload: (next) => {
      const later = replaceSources(next, live, now.sources);
      now = { sources: later.sources, state: describe(live, later.sources, later.opened, now.state) };
      return now.state;
    },
    close: () => closeAll(kernel),
    options,
  });
}

function makeShared(config: AgentConfig, { root, features }: Kernel, host: HostFacts, log: Log): Shared {
  const store = new MetricStore();
  const self = makeSelfMetrics(store, config);
  let hasFailed = false;
  return {
    config,
    root,
    features,
    host,
    onlineCpus: onlineCpus(),
    store,
    self,
    own: makeOwnThreads(),
    log,
    onError: (cpu, error, cause) => {
      self.decodeError(error);
      if (hasFailed) return;
      hasFailed = true;
      const reason = cause instanceof Error ? cause.message : error;
      log.error(
        { cpu, error, reason },
        'cannot decode a part of the buffer; further failures are not logged, only counted in ftrace_exporter_decode_errors_total',
      );
    },
  };
}
