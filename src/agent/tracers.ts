/**
 * The tracers of the config: probes that read a tracer enter, a buffer each leaves. What the kernel refuses turns that
 * probe off, with the reason, and the others go on.
 */
import type { AgentConfig } from '../config/schema.ts';
import { KernelError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { ProbeStatus } from '../model/status.ts';
import type { LatencyRecord, TracerRequest } from '../model/tracer.ts';
import { recover } from '../tracefs/cleanup.ts';
import type { Instance } from '../tracefs/instance.ts';
import { openJournal } from '../tracefs/journal.ts';
import { makeLatencyLog } from './latency-log.ts';
import type { LiveBuffer } from './live-buffer.ts';
import type { EnabledProbe } from './plan.ts';
import type { Shared } from './shared.ts';
import { openTracerBuffer } from './tracer-buffer.ts';

export interface Tracers {
  /** Sets up all of them; `share`: the part of the buffers' memory each may take. Throws for no refusal of the kernel. */
  start(probes: readonly EnabledProbe[], share: number, shared: Shared): StartedTracers;
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
  for (const problem of left.problems) log.warn({}, problem);
  const journal = openJournal(names);
  const latencies = makeLatencyLog(config.maxWindowMs);
  const opened: LiveBuffer[] = [];
  const refreshes: (() => void)[] = [() => latencies.refresh(performance.now())];

  return {
    start: (probes, share, shared) => {
      const started: StartedTracers = { buffers: [], probes: [], warnings: [] };
      for (const probe of probes) {
        const request = probe.module.tracer?.(probe.options) as TracerRequest;
        try {
          const one = openTracerBuffer({ probe, request, base, journal, share, shared, latencies });
          opened.push(one.buffer);
          started.buffers.push(one.buffer);
          started.probes.push(one.status);
          started.warnings.push(...one.warnings);
          refreshes.push(one.refresh);
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          started.probes.push({ name: probe.module.name, up: false, reason: error.message, events: [] });
        }
      }
      return started;
    },
    refresh: () => {
      for (const refresh of refreshes) refresh();
    },
    latency: latencies.of,
    close: () => {
      const failures = opened.flatMap(({ remove }) => failureOf(remove));
      for (const problem of journal.restore().problems) log.warn({}, problem);
      if (failures.length > 0) throw failures[0];
    },
  };
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
