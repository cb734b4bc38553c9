/** Prepares the tracer of a recording. The tracer and the events share one buffer, as in the files of trace-cmd. */
import type { AgentConfig } from '../../config/schema.ts';
import { UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { TracerRequest } from '../../model/tracer.ts';
import { recover } from '../../tracefs/cleanup.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { openJournal } from '../../tracefs/journal/journal.ts';
import { takeTopLevel } from '../../tracefs/top-level.ts';
import { type StartedTracer, startTracer } from '../../tracefs/tracers.ts';
import { placeOrRefuse } from '../live/tracer-buffer.ts';
import type { EnabledProbe } from '../plan/plan.ts';

export interface RecordedTracer {
  /** An instance or the top level. */
  instance: Instance;
  /** Call this after preparing the instance. Throws `KernelError`. */
  start(): void;
  /** Restores the kernel's settings. Close the page files first. */
  close(): void;
}

/**
 * Throws a `UsageError` if the tracer cannot be recorded, or a `KernelError` if the kernel refuses it. `base`: the
 * instance of the recording.
 */
export function recordedTracer(
  base: Instance,
  enabled: readonly EnabledProbe[],
  config: AgentConfig,
  log: Log,
): RecordedTracer {
  const request = requestOf(enabled);
  if (request === undefined) return { instance: base, start: () => {}, close: () => {} };
  const place = { root: base.root, stateDir: config.stateDir, name: base.name };
  for (const problem of recover(place).problems) log.warn({}, problem);
  const journal = openJournal(place);
  const isTop = placeOrRefuse(request, base) === 'top';
  const instance = isTop ? takeTopLevel(base.root, journal, request.tracer) : base;
  let started: StartedTracer | undefined;
  return {
    instance,
    start: () => {
      started = startTracer(instance, request, journal);
      for (const warning of started.warnings) log.warn({}, warning);
    },
    close: () => {
      const problems = [...(started?.stop().problems ?? []), ...(isTop ? instance.remove() : [])];
      for (const problem of [...problems, ...journal.restore().problems]) log.warn({}, problem);
    },
  };
}

/** Throws a `UsageError` if the tracer cannot be recorded, or if there are several. */
function requestOf(enabled: readonly EnabledProbe[]): TracerRequest | undefined {
  const requests = enabled.flatMap(({ module, options }) => module.tracer?.(options) ?? []);
  if (requests.length === 0) return undefined;
  const [request] = requests;
  if (requests.length > 1) {
    const names = requests.map(({ tracer }) => tracer).join(', ');
    throw new UsageError(
      `a recording can have only one tracer, but several are on: ${names}; leave only one on`,
    );
  }
  if (request.reads === 'events') return request;
  const why = request.reads === 'text' ? 'writes only text' : 'keeps only its longest latency';
  throw new UsageError(`the tracer ${request.tracer} cannot be recorded: it ${why}`);
}
