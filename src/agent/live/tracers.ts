/**
 * The tracers of the config: probes that read a tracer enter, a buffer each leaves. What the kernel refuses turns that
 * probe off, with the reason, and the others go on.
 */
import type { AgentConfig } from '../../config/schema.ts';
import { KernelError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { ProbeStatus } from '../../model/status.ts';
import type { LatencyRecord, TracerRequest } from '../../model/tracer.ts';
import { recover } from '../../tracefs/cleanup.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { openJournal } from '../../tracefs/journal/journal.ts';
import { foreignTracer } from '../../tracefs/journal/leftovers.ts';
import type { EnabledProbe } from '../plan/plan.ts';
import { HEALTHY, type LiveBuffer } from './buffer.ts';
import { makeLatencyLog } from './latency-log.ts';
import { openMarkerBuffer } from './marker-buffer.ts';
import type { Shared } from './shared.ts';
import { openTracerBuffer, whereItRuns } from './tracer-buffer.ts';

export interface Tracers {
  /** What could not be put back, and a tracer of somebody else at the top level. The log has it already. */
  leftovers: readonly string[];
  /** Sets up all of them; `share`: the part of the buffers' memory each may take. Throws for no refusal of the kernel. */
  start(probes: readonly EnabledProbe[], share: number, shared: Shared): StartedTracers;
  /** Reads the markers of programs at the top level, by this probe. Throws `KernelError` where somebody uses it. */
  readMarkers(probe: EnabledProbe, shared: Shared): { buffer: LiveBuffer; warnings: readonly string[] };
  /** About once a second: functions of modules that came, windows of maxima. */
  refresh(): void;
  /** Records of a latency tracer, worst first; undefined when it does not run. */
  latency(tracer: string): LatencyRecord[] | undefined;
  /** Removes the buffers and puts back whatever is left in the journal. Throws `KernelError` for what could not be. */
  close(): void;
}

export interface StartedTracers {
  buffers: LiveBuffer[];
  probes: ProbeStatus[];
  warnings: string[];
}

/**
 * Removes and puts back what a killed agent of this name has left, first of all. `base` is the instance of that name,
 * held by us. Throws `KernelError`.
 */
export function openTracers(config: AgentConfig, base: Instance, log: Log): Tracers {
  const names = { root: base.root, stateDir: config.stateDir, name: config.instance };
  const left = recover(names);
  for (const instance of left.removed)
    log.warn({ instance }, 'removed an instance that a killed agent had left');
  for (const file of left.restored) log.warn({ file }, 'put back what a killed agent had changed');
  const leftovers = [...left.problems, ...[foreignTracer(base.root) ?? []].flat()];
  for (const problem of leftovers) log.warn({}, problem);
  const journal = openJournal(names);
  const latencies = makeLatencyLog(config.maxWindowMs);
  const opened: LiveBuffer[] = [];
  const refreshes: (() => void)[] = [];

  return {
    leftovers,
    start: (probes, share, shared) => {
      const started: StartedTracers = { buffers: [], probes: [], warnings: [] };
      for (const { probe, request } of inOrder(probes, base)) {
        const status: ProbeStatus = { name: probe.module.name, up: true, reason: '', events: [] };
        started.probes.push(status);
        let buffer: LiveBuffer | undefined;
        const giveUp = (error: unknown) => {
          if (!status.up) return;
          status.up = false;
          status.reason = error instanceof Error ? error.message : String(error);
          log.error({ probe: status.name, reason: status.reason }, 'a tracer has been given up');
          shared.self.probesAre([status]);
          for (const failure of failureOf(() => buffer?.remove())) log.warn({}, String(failure));
        };
        try {
          const one = openTracerBuffer({ probe, request, base, journal, share, shared, latencies, giveUp });
          buffer = one.buffer;
          opened.push(buffer);
          started.buffers.push(guarded(buffer, () => status.up, giveUp));
          status.events = one.events;
          started.warnings.push(...one.warnings);
          refreshes.push(() => attempt(one.refresh, () => status.up, undefined, giveUp));
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          status.up = false;
          status.reason = error.message;
        }
      }
      return started;
    },
    readMarkers: (probe, shared) => {
      let isUp = true;
      let buffer: LiveBuffer | undefined;
      const giveUp = (error: unknown) => {
        if (!isUp) return;
        isUp = false;
        const reason = error instanceof Error ? error.message : String(error);
        log.error({ reason }, 'the markers of the top level are not read any more');
        for (const failure of failureOf(() => buffer?.remove())) log.warn({}, String(failure));
      };
      const one = openMarkerBuffer(probe, journal, shared);
      buffer = one.buffer;
      opened.push(buffer);
      return { buffer: guarded(buffer, () => isUp, giveUp), warnings: one.warnings };
    },
    refresh: () => {
      for (const refresh of refreshes) refresh();
    },
    latency: latencies.of,
    close: () => {
      const failures = opened.flatMap(({ remove }) => failureOf(remove));
      for (const problem of journal.restore().problems)
        if (!left.problems.includes(problem)) log.warn({}, problem);
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** Those that take the top level come first: others look at what it has then, its clock above all. */
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

/** A buffer whose failures are its own: it is given up, and the others go on. */
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

/** What a step throws, so that those behind it have their turn. */
export function failureOf(step: () => void): unknown[] {
  try {
    step();
    return [];
  } catch (error) {
    return [error];
  }
}
