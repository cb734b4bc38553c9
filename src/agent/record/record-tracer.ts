/**
 * The tracer of a recording: the probes that are on enter; what is recorded from, an instance or the top level, and
 * the switch of the tracer leave. Its records lie in one buffer with the events, as trace-cmd has them.
 */
import { readFileSync } from 'node:fs';
import type { AgentConfig } from '../../config/schema.ts';
import { UsageError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { TracerRequest } from '../../model/tracer.ts';
import { recover } from '../../tracefs/cleanup.ts';
import { functionAddresses } from '../../tracefs/functions.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { openJournal } from '../../tracefs/journal/journal.ts';
import { takeTopLevel } from '../../tracefs/top-level.ts';
import { type StartedTracer, startTracer } from '../../tracefs/tracers.ts';
import { placeOrRefuse } from '../live/tracer-buffer.ts';
import type { EnabledProbe } from '../plan/plan.ts';

export interface RecordedTracer {
  /** What is recorded from. */
  instance: Instance;
  /** Sets the tracer, once the instance is prepared. Throws `KernelError`. */
  start(): void;
  /** Text of symbols for the addresses that the pages hold; '' where they hold none. */
  kallsyms(): string;
  /** Puts everything back; pages must be closed. */
  close(): void;
}

/** `base` is the recording's own instance. Throws `UsageError` for what has no pages, `KernelError` for what is refused. */
export function recordedTracer(
  base: Instance,
  enabled: readonly EnabledProbe[],
  config: AgentConfig,
  log: Log,
): RecordedTracer {
  const request = requestOf(enabled);
  if (request === undefined) return { instance: base, start: () => {}, kallsyms: () => '', close: () => {} };
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
    kallsyms: () => (request.functions === undefined ? '' : symbolsText(base.root, log)),
    close: () => {
      const problems = [...(started?.stop().problems ?? []), ...(isTop ? instance.remove() : [])];
      for (const problem of [...problems, ...journal.restore().problems]) log.warn({}, problem);
    },
  };
}

/** The one tracer that is on, if any. */
function requestOf(enabled: readonly EnabledProbe[]): TracerRequest | undefined {
  const requests = enabled.flatMap(({ module, options }) => module.tracer?.(options) ?? []);
  if (requests.length === 0) return undefined;
  const [request] = requests;
  if (requests.length > 1) {
    const names = requests.map(({ tracer }) => tracer).join(', ');
    throw new UsageError(`one recording has one tracer, but these are on: ${names}`);
  }
  if (request.reads === 'events') return request;
  const why = request.reads === 'text' ? 'has no records but text' : 'keeps nothing but its longest latency';
  throw new UsageError(`the tracer ${request.tracer} cannot be recorded: it ${why}`);
}

/**
 * Of all functions, for records name callers too. They are what /proc/kallsyms shows to whoever may trace functions;
 * without them the recording holds numbers that nobody can read.
 */
function symbolsText(root: string, log: Log): string {
  const text = readFileSync('/proc/kallsyms', 'utf8');
  if (/^0*[1-9a-f]/m.test(text)) return text;
  const found = functionAddresses(root);
  if (found === undefined) {
    log.warn({}, 'this kernel hides the addresses of functions: the recording will not name them');
    return '';
  }
  const hex = (word: number) => word.toString(16).padStart(8, '0');
  return found.names.map((name, i) => `${hex(found.high[i])}${hex(found.low[i])} t ${name}\n`).join('');
}
