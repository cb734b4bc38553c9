/**
 * How a buffer of the running kernel is read: probes and a reader enter; their plan, and the stream that feeds it,
 * leave.
 */
import type { FunctionNames } from '../model/function-names.ts';
import type { Instance } from '../tracefs/instance.ts';
import { Pipeline } from './pipeline.ts';
import { type EnabledProbe, type EventPlan, planEvents } from './plan.ts';
import type { Shared } from './shared.ts';
import type { EventStream } from './stream.ts';

/** `none`: nothing of the buffer is read. */
export type ReaderKind = 'raw' | 'trace_pipe' | 'none';

export interface OpenStream {
  stream: EventStream;
  /** CPUs that can have events now. */
  cpus(): readonly number[];
  /** Follows CPUs that come and go. */
  refresh(): void;
  close(): void;
}

export interface PlannedStream {
  plan: EventPlan;
  reader: ReaderKind;
  /** Opens what is read, which keeps the tracer from being changed. Throws `KernelError`. */
  open(): OpenStream | undefined;
}

export interface StreamParts {
  instance: Instance;
  enabled: readonly EnabledProbe[];
  reader: ReaderKind;
  /** What is recorded beside events; `nop` for nothing. */
  tracer: string;
  shared: Shared;
  functions?: FunctionNames | undefined;
}

export function planStream(parts: StreamParts): PlannedStream {
  const { instance, enabled, reader, shared, functions } = parts;
  const plan = planEvents({
    enabled,
    metadata: instance.metadata(),
    host: shared.host,
    onlineCpus: shared.onlineCpus,
    store: shared.store,
    self: shared.self,
    isSelf: shared.own.has,
    maxWindowMs: shared.config.maxWindowMs,
    ...(functions ? { functions } : {}),
  });
  const open = (): OpenStream | undefined => {
    if (reader === 'none') return undefined;
    const pages = instance.openPages();
    const { layout } = instance.metadata();
    const stream = new Pipeline({ source: pages, layout, plan, onError: shared.onError });
    return { stream, cpus: pages.cpus, refresh: pages.refresh, close: pages.close };
  };
  return { plan, reader, open };
}
