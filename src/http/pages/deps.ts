/** Data and functions of the agent that the routes need. `cli` provides them. */
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
  /**
   * Resolves to full snapshots (see metrics/snapshot-reader.ts) of all stores that answer. The main thread's store
   * comes first. Rejects only if there are no metrics. The error's message explains the reason to the client.
   */
  scrape(): Promise<readonly MetricSnapshot[]>;
  /** Metric families of the process itself: see export/process-metrics.ts. */
  processMetrics(): Promise<readonly SampleFamily[]>;
  /** Rejects if the capture thread does not answer. The error's message explains the reason to the client. */
  status(): Promise<CaptureStatus>;
  /**
   * Worst records of a latency tracer, worst first. Undefined if the tracer is off. Rejects if the capture thread does
   * not answer.
   */
  latency(tracer: string): Promise<readonly LatencyRecord[] | undefined>;
  /** Traces of slow operations. Undefined if no kind is enabled. */
  traces?: SlowOperations | undefined;
  exemplars?: Pick<Exemplars, 'ofFamily'> | undefined;
  /** History of the last minutes. Undefined if the history is disabled. */
  history?: ServedHistory | undefined;
  /**
   * Reloads the config. Resolves to '', or to the reason if the agent rejected the config. If HTTP clients must not
   * reload the config, `reload` is a string with the reason.
   */
  reload: (() => Promise<string>) | string;
  ready(): { ready: boolean; reason: string };
  /** The agent is not alive if only a restart can make it ready. */
  alive(): { alive: boolean; reason: string };
  source(): 'live' | 'replay';
  log: Log;
}

export interface ServedHistory {
  data: HistoryData;
  /**
   * Registers a listener for new columns of the history. Absent if the agent serves a recording, because the history of
   * a recording gets no new columns.
   */
  onColumn?: History['onColumn'];
}

export interface SlowOperations {
  kinds: readonly SpanKind[];
  /**
   * Returns the newest and the slowest traces, at most `limit` of each. If `kind` is undefined, returns traces of all
   * kinds.
   */
  slow(
    kind: SpanKind | undefined,
    limit: number,
  ): { last: readonly TraceRecord[]; slowest: readonly TraceRecord[] };
  /** Returns up to `limit` traces with this id, newest first. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): readonly TraceRecord[];
}

/**
 * Collects the status document. If the capture thread does not answer, `capture` is null, and `reason` contains the
 * error unless `ready()` gives a reason.
 */
export async function readStatus(deps: HttpDeps): Promise<StatusDocument> {
  const { ready, reason } = deps.ready();
  const common = { version: deps.version, source: deps.source() };
  try {
    return { ...common, ready, reason: ready ? '' : reason, capture: await deps.status() };
  } catch (error) {
    return { ...common, ready, reason: reason || reasonOf(error), capture: null };
  }
}
