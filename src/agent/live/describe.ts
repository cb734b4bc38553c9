/** Describes a live capture in its status, and logs what does not work. */
import { isDeepStrictEqual } from 'node:util';
import type { KindStatus, ProbeStatus } from '../../model/status.ts';
import { markersRefused } from '../../tracefs/markers.ts';
import { containerNotes } from '../plan/containers.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { withHostNotes } from './host-notes.ts';
import type { Live, Opened } from './live.ts';
import type { LiveFacts, LiveState } from './run.ts';
import type { Shared } from './shared.ts';
import type { Sources } from './sources.ts';

/** Logs only problems that are not in `before`, the state before a reload. */
export function describe(live: Live, sources: Sources, opened: Opened, before?: LiveState): LiveState {
  const { kernel, shared } = live;
  const { enabled, containers, spans, tasks } = sources;
  const probes = withHostNotes(inOrder(enabled, opened.probes), enabled, {
    classProblem: live.classProblem(),
    containers: containerNotes(containers?.table, opened.helpers),
  });
  shared.self.probesAre(probes);
  const kinds: KindStatus[] = spans?.status(opened.helpers, probes) ?? [];
  const refused = kernel.markers && markersRefused(kernel.root, kernel.instance.name);
  const warnings = [...live.warnings, ...opened.warnings, ...(refused ? [refused] : [])];
  const { kernelRelease, machine, clock } = kernel.instance.metadata();
  const facts: LiveFacts = {
    ...{ source: 'live', kernelRelease, machine, clock, probes, kinds },
    tracefs: kernel.root,
    instance: kernel.instance.name,
    reader: shared.config.reader,
    cpus: shared.onlineCpus.length,
    bufferBytesPerCpu: live.inForce.bufferBytesPerCpu,
    subbufferBytes: live.inForce.subbufferBytes,
    markers: kernel.markers,
    tasks: tasks?.status(),
  };
  logState(facts, warnings, shared, before);
  return { spans, buffers: opened.buffers, facts, warnings: [...kernel.tracers.leftovers, ...warnings] };
}

function logState(
  { probes, kinds, markers, tasks }: LiveFacts,
  warnings: readonly string[],
  { config, log }: Shared,
  before: LiveState | undefined,
): void {
  const isKnown = isDeepStrictEqual;
  if (config.spans?.containers && tasks?.containers === false && !isKnown(tasks, before?.facts.tasks))
    log.warn({ reason: tasks.reason }, 'cannot identify containers of traced processes');
  if (markers !== undefined && !isKnown(markers, before?.facts.markers)) {
    log.info({ files: markers.files }, 'reading span markers that applications write');
    if (markers.reason !== '')
      log.info({ reason: markers.reason }, 'not reading span markers from the top-level trace_marker');
  }
  const isNew = <T>(list: readonly T[] | undefined, one: T) =>
    !list?.some((old) => isDeepStrictEqual(old, one));
  for (const probe of probes) {
    if (!isNew(before?.facts.probes, probe)) continue;
    const { name, up, reason, notes = [] } = probe;
    if (!up) log.warn({ probe: name, reason }, 'probe is off');
    const limited = up
      ? 'probe is on, but with a limitation'
      : 'a name in the config of the probe matches nothing';
    for (const note of notes) log.warn({ probe: name, reason: note }, limited);
  }
  for (const kind of kinds)
    if (!kind.up && isNew(before?.facts.kinds, kind))
      log.warn({ kind: kind.kind, reason: kind.reason }, 'traces of this kind are off');
  for (const warning of warnings) if (isNew(before?.warnings, warning)) log.warn({}, warning);
}

/** The status of each enabled probe except helpers, in the order of the config. */
function inOrder(enabled: readonly EnabledProbe[], statuses: readonly ProbeStatus[]): ProbeStatus[] {
  const measured = enabled.filter(({ onlyFor }) => onlyFor === undefined);
  return measured.flatMap(({ module }) => statuses.find(({ name }) => name === module.name) ?? []);
}
