/** Data and functions of the agent that the routes need. HTTP clients get the error messages of rejected promises. */
import type { Exemplars } from '../../export/exemplars.ts';
import type { SampleFamily } from '../../export/sample-family.ts';
import type { History, HistoryData } from '../../history/history.ts';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { SpanKind, TraceRecord } from '../../model/span.ts';
import type { CaptureStatus, StatusDocument } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

export interface HttpDeps {
  /** Path of the metrics; `/metrics` by default. */
  telemetryPath: string;
  version: string;
  /** Labels of every series: `{ source: 'replay' }` if the agent serves a recording, otherwise none. */
  constantLabels: Readonly<Record<string, string>>;
  /** Resolves to snapshots of all stores that answer, the main thread's first. Rejects if there are no metrics. */
  scrape(): Promise<readonly MetricSnapshot[]>;
  /** Metric families of the process itself: see export/process-metrics.ts. */
  processMetrics(): Promise<readonly SampleFamily[]>;
  /** Rejects if the capture thread does not answer. */
  status(): Promise<CaptureStatus>;
  /** Worst records of a latency tracer, worst first. Undefined if the tracer is off. */
  latency(tracer: string): Promise<readonly LatencyRecord[] | undefined>;
  /** Traces of slow operations. Undefined if no kind is enabled. */
  traces?: SlowOperations | undefined;
  exemplars?: Pick<Exemplars, 'ofFamily'> | undefined;
  /** History of the last minutes. Undefined for the reasons in `NO_HISTORY`. */
  history?: ServedHistory | undefined;
  /** Resolves to '', or to why the agent rejected the config. A string is the reason why clients cannot reload. */
  reload: (() => Promise<string>) | string;
  ready(): { ready: boolean; reason: string };
  /** The agent is not alive if only a restart can make it ready. */
  alive(): { alive: boolean; reason: string };
  source(): 'live' | 'replay';
  log: Log;
}

export const NO_HISTORY =
  'this agent keeps no history: history.enabled is false in its config, or the times of the recording are unknown';

export interface ServedHistory {
  data: HistoryData;
  /** Registers a listener for new columns of the history. Absent for a recording. */
  onColumn?: History['onColumn'];
}

export interface SlowOperations {
  kinds: readonly SpanKind[];
  /** Returns the newest and the slowest traces, at most `limit` of each. An undefined `kind` means all kinds. */
  slow(
    kind: SpanKind | undefined,
    limit: number,
  ): { last: readonly TraceRecord[]; slowest: readonly TraceRecord[] };
  /** Returns up to `limit` traces with this id, newest first. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): readonly TraceRecord[];
}

/** Collects the status document. If the capture thread does not answer, `capture` is null. */
export async function readStatus(deps: HttpDeps): Promise<StatusDocument> {
  const { ready, reason } = deps.ready();
  const common = { version: deps.version, source: deps.source() };
  try {
    return { ...common, ready, reason: ready ? '' : reason, capture: await deps.status() };
  } catch (error) {
    return { ...common, ready, reason: reason || reasonOf(error), capture: null };
  }
}
