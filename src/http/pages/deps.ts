/** What the routes need from the agent. Composed in `cli`. */

import type { Exemplars } from '../../export/exemplars.ts';
import type { SampleFamily } from '../../export/sample-family.ts';
import type { History, HistoryData } from '../../history/history.ts';
import { reasonOf } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { SpanKind, TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

export interface HttpDeps {
  /** Path of the metrics; `/metrics` by default. */
  telemetryPath: string;
  version: string;
  /** Labels of every series: `{ source: 'replay' }` when a capture is served. */
  constantLabels: Readonly<Record<string, string>>;
  /**
   * Full snapshots (see metrics/snapshot-reader.ts) of all stores that answer, the main thread's first. Rejects, with a
   * reason for the client, only if there is nothing to show.
   */
  scrape(): Promise<readonly MetricSnapshot[]>;
  /** Families of the process itself, see export/process-metrics.ts. */
  processMetrics(): Promise<readonly SampleFamily[]>;
  /** Rejects, with a reason for the client, while the capture thread does not answer. */
  status(): Promise<CaptureStatus>;
  /** Records of a latency tracer, worst first; undefined if it does not run. Rejects as `status` does. */
  latency(tracer: string): Promise<readonly LatencyRecord[] | undefined>;
  /** Traces of slow operations; undefined if no kind is on. */
  traces?: SlowOperations | undefined;
  /** Exemplars of histogram buckets. */
  exemplars?: Pick<Exemplars, 'ofFamily'> | undefined;
  /** The last minutes; undefined if none are kept. */
  history?: ServedHistory | undefined;
  /** Reloads the config; resolves to why it was refused, or ''. A string: why that cannot be asked for over HTTP. */
  reload: (() => Promise<string>) | string;
  ready(): { ready: boolean; reason: string };
  /** Whether the agent can still become ready without a restart. */
  alive(): { alive: boolean; reason: string };
  source(): 'live' | 'replay';
  log: Log;
}

export interface ServedHistory {
  data: HistoryData;
  /** Calls the listener with each new column. A recording has none. */
  onColumn?: History['onColumn'];
}

export interface SlowOperations {
  /** Kinds that are on. */
  kinds: readonly SpanKind[];
  /** The newest traces and the slowest traces, of one kind or of all. */
  slow(
    kind: SpanKind | undefined,
    limit: number,
  ): { last: readonly TraceRecord[]; slowest: readonly TraceRecord[] };
  /** Traces with this id, newest first. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): readonly TraceRecord[];
}

/** The document of `/api/v1/status`, which the page shows too. */
export interface StatusDocument {
  version: string;
  source: 'live' | 'replay';
  ready: boolean;
  /** Why the agent is not ready, or why the capture does not answer; else empty. */
  reason: string;
  /** Null while the capture thread does not answer. */
  capture: CaptureStatus | null;
}

/** Gathers the status document. A capture that does not answer is part of it, not an error. */
export async function readStatus(deps: HttpDeps): Promise<StatusDocument> {
  const { ready, reason } = deps.ready();
  const common = { version: deps.version, source: deps.source() };
  try {
    return { ...common, ready, reason: ready ? '' : reason, capture: await deps.status() };
  } catch (error) {
    return { ...common, ready, reason: reason || reasonOf(error), capture: null };
  }
}
