/** Decides which probes can use a recording, and explains why the others are off. */
import type { AgentConfig } from '../../config/schema.ts';
import { bytesReader, textOf } from '../../decode/fields.ts';
import { bareFormatText } from '../../decode/text/known-formats.ts';
import { capturedHostFacts } from '../../host/facts.ts';
import { openRecordedContainers } from '../../host/recorded-containers.ts';
import type { MetricStore } from '../../metrics/store.ts';
import type { EventsOptions } from '../../probes/events.ts';
import type { HostFacts } from '../../probes/probe.ts';
import { recordedPart } from '../../tracedat/recorded-containers.ts';
import { factsReader } from '../../tracedat/recorded-facts.ts';
import { isPerContainer, withContainers } from '../plan/containers.ts';
import { enabledProbes } from '../plan/enabled-probes.ts';
import { type EnabledProbe, type EventPlan, planEvents } from '../plan/plan.ts';
import type { SelfMetrics } from '../plan/self-metrics.ts';
import type { Recording } from './recording.ts';

const MOST_NAMED = 4;
/** Every recording with a container table has this event. */
const ATTACH = 'cgroup:cgroup_attach_task';

export function planRecording(
  recording: Recording,
  config: AgentConfig,
  store: MetricStore,
  self: SelfMetrics,
): EventPlan & { end(): string[] } {
  const { cpus, functions, unreadable } = recording;
  const blockDevices = new Map<number, string>();
  const enabled = enabledProbes(config);
  const metadata = withNamedEvents(recording, enabled);
  const containers =
    config.containers && metadata.events().includes(ATTACH)
      ? openRecordedContainers(config.containers.max)
      : undefined;
  const host = {
    ...capturedHostFacts({ machine: metadata.machine, blockDevices }),
    ...(containers && { containers }),
  };
  const absent = new Map<EnabledProbe, string>();
  for (const probe of enabled) {
    const reason = whyAbsent(probe, { ...recording, metadata }, host);
    if (reason !== undefined) absent.set(probe, reason);
  }
  const plan = planEvents({
    enabled: withContainers(
      enabled.filter((probe) => !absent.has(probe)),
      containers,
    ),
    metadata,
    host,
    onlineCpus: cpus,
    store,
    self,
    where: 'this recording',
    isSelf: () => false,
    functions,
    maxWindowMs: config.maxWindowMs,
    unreadable,
    extra: {
      'ftrace:print': (format) => {
        const text = bytesReader(format, 'buf');
        const readDevices = factsReader((record) => textOf(text, record), blockDevices);
        return (record) => {
          const part = containers && recordedPart(textOf(text, record));
          if (part === undefined) readDevices(record);
          else containers?.read(part);
        };
      },
    },
  });
  const off = [...absent].map(([{ module }, reason]) => ({
    name: module.name,
    up: false,
    reason,
    events: [],
  }));
  const end = (): string[] => {
    containers?.end();
    if (!enabled.some(isPerContainer) || containers?.hasTable()) return [];
    return ['there are no metrics by container: the recording has no table of containers'];
  };
  return { ...plan, probes: [...plan.probes, ...off], end };
}

/** Returns why the recording contains nothing for a probe; undefined if it may contain something. */
function whyAbsent(
  { module, options, intervals }: EnabledProbe,
  { metadata, latency, hasEvent }: Recording,
  host: HostFacts,
): string | undefined {
  const request = module.tracer?.(options);
  if (request?.reads === 'latency') {
    return request.tracer === latency?.tracer
      ? undefined
      : `this recording is not from the tracer ${module.name}`;
  }
  const needs = module.needs(options, metadata, host, intervals);
  // One event from the system of a required event is enough, even if the event itself is optional.
  const essential = needs.filter(({ without }) => without === undefined);
  const systems = new Set((essential.length > 0 ? essential : needs).map(({ event }) => systemOf(event)));
  const wanted = needs.map(({ event }) => event).filter((event) => systems.has(systemOf(event)));
  const has = (event: string) => hasEvent(event) || metadata.events().includes(event);
  if (wanted.length === 0 || wanted.some(has)) return undefined;
  const more = wanted.length > MOST_NAMED ? `, and ${wanted.length - MOST_NAMED} more` : '';
  return `this recording has none of the probe's events (${wanted.slice(0, MOST_NAMED).join(', ')}${more})`;
}

function systemOf(event: string): string {
  return event.slice(0, event.indexOf(':'));
}

/**
 * Adds events that text names without a system. Assumes that they are the events of the same name that the `events`
 * probe counts. The added events have no fields.
 */
function withNamedEvents(
  { metadata, namesWithoutSystem = [] }: Recording,
  enabled: readonly EnabledProbe[],
): Recording['metadata'] {
  const counted = enabled.flatMap(({ module, options }) =>
    module.name === 'events' ? (options as EventsOptions).count : [],
  );
  const named = counted.filter((event) => namesWithoutSystem.includes(event.slice(event.indexOf(':') + 1)));
  if (named.length === 0) return metadata;
  return {
    ...metadata,
    events: () => [...metadata.events(), ...named],
    formatText: (event) =>
      named.includes(event) ? bareFormatText(event, named.indexOf(event)) : metadata.formatText(event),
  };
}
