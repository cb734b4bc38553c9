/** What the routes need from the agent. `cli` composes it. */
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
  /** Labels of every series: `{ source: 'replay' }` if a recording is served. */
  constantLabels: Readonly<Record<string, string>>;
  /**
   * Full snapshots (see metrics/snapshot-reader.ts) of all stores that answer; the main thread's store comes first.
   * Rejects with a reason for the client only if there is nothing to show.
   */
  scrape(): Promise<readonly MetricSnapshot[]>;
  /** Metric families of the process itself: see export/process-metrics.ts. */
  processMetrics(): Promise<readonly SampleFamily[]>;
  /** If the capture thread does not answer, rejects with a reason for the client. */
  status(): Promise<CaptureStatus>;
  /** Records of a latency tracer, worst first. Undefined if the tracer is not running. Rejects like `status`. */
  latency(tracer: string): Promise<readonly LatencyRecord[] | undefined>;
  /** Traces of slow operations. Undefined if no kind is enabled. */
  traces?: SlowOperations | undefined;
  /** Exemplars of histogram buckets. */
  exemplars?: Pick<Exemplars, 'ofFamily'> | undefined;
  /** History of the last minutes. Undefined if it is not kept. */
  history?: ServedHistory | undefined;
  /** Reloads the config. Resolves to the reason for a rejection, else ''. A string: why HTTP clients cannot reload. */
  reload: (() => Promise<string>) | string;
  ready(): { ready: boolean; reason: string };
  /** Whether the agent can still become ready without a restart. */
  alive(): { alive: boolean; reason: string };
  source(): 'live' | 'replay';
  log: Log;
}

export interface ServedHistory {
  data: HistoryData;
  /** Calls the listener with each new column. Absent for a recording. */
  onColumn?: History['onColumn'];
}

export interface SlowOperations {
  /** Kinds that are enabled. */
  kinds: readonly SpanKind[];
  /** The newest and the slowest traces, of one kind or of all kinds. */
  slow(
    kind: SpanKind | undefined,
    limit: number,
  ): { last: readonly TraceRecord[]; slowest: readonly TraceRecord[] };
  /** Traces with this id, newest first. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): readonly TraceRecord[];
}

/** Collects the status document. If the capture does not answer, the document says so; that is not an error. */
export async function readStatus(deps: HttpDeps): Promise<StatusDocument> {
  const { ready, reason } = deps.ready();
  const common = { version: deps.version, source: deps.source() };
  try {
    return { ...common, ready, reason: ready ? '' : reason, capture: await deps.status() };
  } catch (error) {
    return { ...common, ready, reason: reason || reasonOf(error), capture: null };
  }
}
