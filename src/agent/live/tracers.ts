/** Runs the tracers of the config, one per probe. If the kernel refuses a tracer, the tracer's probe is off. */
import type { AgentConfig } from '../../config/schema.ts';
import { KernelError, reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { ProbeStatus } from '../../model/status.ts';
import type { LatencyRecord, TracerRequest } from '../../model/tracer.ts';
import { recover } from '../../tracefs/cleanup.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { openJournal } from '../../tracefs/journal/journal.ts';
import { foreignTracer } from '../../tracefs/journal/leftovers.ts';
import { endProbes, isUnchanged } from '../plan/kept-probes.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import type { LiveBuffer } from './buffer.ts';
import { HEALTHY } from './buffer-health.ts';
import { makeLatencyLog } from './latency-log.ts';
import { openMarkerBuffer } from './marker-buffer.ts';
import type { Shared } from './shared.ts';
import { openTracerBuffer, type TracerBufferParts, whereItRuns } from './tracer-buffer.ts';

export interface Tracers {
  /** What could not be restored after a killed agent, and another user's tracer at the top level. */
  leftovers: readonly string[];
  /** Each new tracer gets `share` of the buffer memory. Unchanged tracers continue; all others are removed. */
  start(probes: readonly EnabledProbe[], share: number, shared: Shared): StartedTracers;
  /** Throws a `KernelError` if another user uses the top level. */
  readMarkers(probe: EnabledProbe, shared: Shared): { buffer: LiveBuffer; warnings: readonly string[] };
  /** Called about once a second. */
  refresh(): void;
  /** Longest first. Undefined if the tracer is not running. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** Also restores all files that the journal lists. Throws a `KernelError` if a buffer cannot be removed. */
  close(): void;
}

/** A tracer that was set up or that the kernel refused. */
interface Running {
  probe: EnabledProbe;
  status: ProbeStatus;
  buffer?: LiveBuffer;
  /** `buffer` with methods that stop only this tracer if they fail. */
  served?: LiveBuffer;
  refresh?(): void;
  warnings: readonly string[];
}

export interface StartedTracers {
  buffers: LiveBuffer[];
  probes: ProbeStatus[];
  warnings: readonly string[];
}

/** First cleans up after a killed agent of the same name. `base`: the instance with this name. Throws `KernelError`. */
export function openTracers(config: AgentConfig, base: Instance, log: Log): Tracers {
  const names = { root: base.root, stateDir: config.stateDir, name: config.instance };
  const recovered = recover(names);
  for (const instance of recovered.removed)
    log.warn({ instance }, 'removed an instance left by a killed agent');
  for (const file of recovered.restored)
    log.warn({ file }, 'restored a control file that a killed agent had changed');
  const leftovers = [...recovered.problems, ...[foreignTracer(base.root) ?? []].flat()];
  for (const problem of leftovers) log.warn({}, problem);
  const journal = openJournal(names);
  const latencies = makeLatencyLog(config.maxWindowMs);
  const markers: LiveBuffer[] = [];
  let running: Running[] = [];

  return {
    leftovers,
    start: (probes, share, shared) => {
      const unchanged = running.filter(({ status, buffer }) =>
        buffer?.plan.made.some((made) => status.up && probes.some((probe) => isUnchanged(made, probe))),
      );
      const gone = running.filter((one) => !unchanged.includes(one));
      for (const { served, buffer } of gone) {
        served?.finish();
        for (const failure of failureOf(() => buffer?.remove())) log.warn({}, String(failure));
      }
      const made = gone.flatMap(({ buffer }) => buffer?.plan.made ?? []);
      const added = probes.filter(({ module }) => !unchanged.some(({ probe }) => probe.module === module));
      running = [
        ...unchanged,
        ...inOrder(added, base).map((one) =>
          openTracer({ ...one, base, journal, share, shared, latencies, made }, log),
        ),
      ];
      endProbes(
        shared.store,
        made,
        running.flatMap(({ buffer }) => buffer?.plan.made ?? []),
      );
      return {
        buffers: running.flatMap(({ served }) => served ?? []),
        probes: running.map(({ status }) => status),
        warnings: running.flatMap(({ warnings }) => warnings),
      };
    },
    readMarkers: (probe, shared) => {
      let isUp = true;
      let buffer: LiveBuffer | undefined;
      const giveUp = (error: unknown) => {
        if (!isUp) return;
        isUp = false;
        const reason = reasonOf(error);
        log.error({ reason }, 'stopped reading span markers from the top-level buffer');
        for (const failure of failureOf(() => buffer?.remove())) log.warn({}, String(failure));
      };
      const one = openMarkerBuffer(probe, journal, shared);
      buffer = one.buffer;
      markers.push(buffer);
      return { buffer: guarded(buffer, () => isUp, giveUp), warnings: one.warnings };
    },
    refresh: () => {
      for (const { refresh } of running) refresh?.();
    },
    latency: latencies.records,
    close: () => {
      const opened = [...running.flatMap(({ buffer }) => buffer ?? []), ...markers];
      const failures = opened.flatMap(({ remove }) => failureOf(remove));
      for (const problem of journal.restore().problems)
        if (!recovered.problems.includes(problem)) log.warn({}, problem);
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** If the kernel refuses the tracer, the returned status contains the reason. */
function openTracer(parts: Omit<TracerBufferParts, 'giveUp'>, log: Log): Running {
  const { probe, shared } = parts;
  const status: ProbeStatus = { name: probe.module.name, up: true, reason: '', events: [] };
  let buffer: LiveBuffer | undefined;
  const giveUp = (error: unknown) => {
    if (!status.up) return;
    status.up = false;
    status.reason = reasonOf(error);
    log.error({ probe: status.name, reason: status.reason }, 'a tracer failed, and its probe is now off');
    shared.self.probesAre([status]);
    for (const failure of failureOf(() => buffer?.remove())) log.warn({}, String(failure));
  };
  try {
    const { refresh, events, warnings, ...one } = openTracerBuffer({ ...parts, giveUp });
    buffer = one.buffer;
    status.events = events;
    const isUp = () => status.up;
    const refreshed = () => attempt(refresh, isUp, undefined, giveUp);
    return { probe, status, buffer, served: guarded(buffer, isUp, giveUp), refresh: refreshed, warnings };
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    status.up = false;
    status.reason = error.message;
    return { probe, status, warnings: [] };
  }
}

/** Tracers at the top level come first, because tracers in instances depend on the top level's clock. */
function inOrder(
  probes: readonly EnabledProbe[],
  base: Instance,
): { probe: EnabledProbe; request: TracerRequest }[] {
  const all = probes.map((probe) => ({
    probe,
    request: probe.module.tracer?.(probe.options) as TracerRequest,
  }));
  const isTop = ({ request }: { request: TracerRequest }) => whereItRuns(request, base) === 'top';
  return [...all.filter(isTop), ...all.filter((one) => !isTop(one))];
}

/** A failure of one of the methods calls `giveUp` and stops only this buffer. */
function guarded(buffer: LiveBuffer, isUp: () => boolean, giveUp: (error: unknown) => void): LiveBuffer {
  const attempted = <T>(step: () => T, otherwise: T) => attempt(step, isUp, otherwise, giveUp);
  return {
    ...buffer,
    drained: buffer.drained && { ...buffer.drained, onFailure: giveUp },
    start: () => attempted(buffer.start, undefined),
    refresh: () => attempted(buffer.refresh, undefined),
    beforeTick: () => attempted(buffer.beforeTick, undefined),
    check: (nowMs) => attempted(() => buffer.check(nowMs), HEALTHY),
    readings: () => (isUp() ? attempted(buffer.readings, []) : buffer.readings()),
    finish: () => attempted(buffer.finish, undefined),
  };
}

function attempt<T>(step: () => T, isUp: () => boolean, otherwise: T, giveUp: (error: unknown) => void): T {
  if (!isUp()) return otherwise;
  try {
    return step();
  } catch (error) {
    giveUp(error);
    return otherwise;
  }
}

/** Returns a list with the step's error, or an empty list. */
export function failureOf(step: () => void): unknown[] {
  try {
    step();
    return [];
  } catch (error) {
    return [error];
  }
}
