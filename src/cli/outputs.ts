/** Outputs that a reload can replace: the traces in memory, and the OTLP exports. */
import { isDeepStrictEqual } from 'node:util';
import { makeTraces, type Traces } from '../agent/main/traces.ts';
import type { AgentConfig } from '../config/schema.ts';
import type { Exemplars } from '../export/exemplars.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { Log } from '../model/log.ts';
import type { TraceRecord } from '../model/span.ts';
import { openOtlp } from './otlp.ts';

type Otlp = NonNullable<Awaited<ReturnType<typeof openOtlp>>>;
type PushSource = Parameters<Otlp['start']>[0];

export interface Outputs {
  /** Stores traces in memory, and exports them over OTLP. */
  take(records: readonly TraceRecord[]): void;
  /** Returns undefined if all kinds of traces are off. */
  traceStore(): Traces['traceStore'] | undefined;
  exemplars: Pick<Exemplars, 'ofFamily'>;
  start(source: PushSource): void;
  /** Opens the outputs of another config. Rejects with a `UsageError`, for example for an unreadable certificate. */
  prepare(next: AgentConfig): Promise<{ apply(): void; cancel(): void }>;
  collectLast(): Promise<unknown>;
  stop(): Promise<unknown>;
}

export async function openOutputs(
  config: AgentConfig,
  what: { log: Log; version: string; store: MetricStore },
): Promise<Outputs> {
  let traces: Traces | undefined;
  const open = (pushed: AgentConfig) =>
    openOtlp(pushed, { ...what, ended: (...args) => traces?.ended(...args) });
  const tracesOf = ({ spans, otlp }: AgentConfig) =>
    spans && makeTraces(what.store, spans, otlp?.traces !== undefined);
  let now = { config, otlp: await open(config) };
  let source: PushSource | undefined;
  /** Replaced exporters that still send their last data: one promise per exporter. */
  const ending = new Set<Promise<void>>();
  traces = tracesOf(config);

  const end = (otlp: Otlp): void => {
    const ended = otlp
      .collectLast()
      .then(() => otlp.stop())
      .then(() => void ending.delete(ended));
    ending.add(ended);
  };

  return {
    take: (records) => {
      traces?.take(records);
      now.otlp?.add(records);
    },
    traceStore: () => traces?.traceStore,
    exemplars: { ofFamily: (family) => traces?.exemplars.ofFamily(family) },
    start: (from) => {
      source = from;
      now.otlp?.start(from);
    },
    prepare: async (next) => {
      const isSamePush = isDeepStrictEqual(now.config.otlp, next.otlp);
      const otlp = isSamePush ? now.otlp : await open(next);
      const cancel = () => void (isSamePush ? undefined : otlp?.stop());
      const apply = () => {
        const before = now;
        const earlier = traces?.traceStore.all() ?? [];
        now = { config: next, otlp };
        if (!isSamePush || !isDeepStrictEqual(before.config.spans, next.spans)) {
          traces = tracesOf(next);
          traces?.traceStore.add(earlier);
        }
        if (isSamePush) return;
        if (source !== undefined) otlp?.start(source);
        if (before.otlp !== undefined) end(before.otlp);
      };
      return { apply, cancel };
    },
    collectLast: async () => now.otlp?.collectLast(),
    stop: () => Promise.all([now.otlp?.stop(), ...ending]),
  };
}
