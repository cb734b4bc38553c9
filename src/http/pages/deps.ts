/** What the HTTP side is given: the agent as it appears from outside. Composed in `cli`. */
import type { Exemplars } from '../../export/exemplars.ts';
import type { SampleFamily } from '../../export/sample-family.ts';
import type { Log } from '../../model/log.ts';
import type { MetricSnapshot } from '../../model/metric.ts';
import type { SpanKind, TraceRecord } from '../../model/span.ts';
import type { CaptureStatus } from '../../model/status.ts';
import type { LatencyRecord } from '../../model/tracer.ts';

export interface HttpDeps {
  /** Path of the metrics, `/metrics` unless the user says otherwise. */
  telemetryPath: string;
  version: string;
  /** On every series: `{ source: 'replay' }` when a capture is served. */
  constantLabels: Readonly<Record<string, string>>;
  /**
   * Full snapshots (see metrics/snapshot-reader.ts) of all stores that can be reached, the main thread's first.
   * Rejects, with a reason for the client, only when there is nothing to show at all.
   */
  scrape(): Promise<readonly MetricSnapshot[]>;
  /** Families of the process itself, see export/process-metrics.ts. */
  processMetrics(): Promise<readonly SampleFamily[]>;
  /** Rejects, with a reason for the client, while the capture thread cannot be asked. */
  status(): Promise<CaptureStatus>;
  /** Records of a latency tracer, worst first; undefined when it does not run. Rejects as `status` does. */
  latency(tracer: string): Promise<readonly LatencyRecord[] | undefined>;
  /** Traces of slow operations; undefined where none are made. */
  traces?: SlowOperations;
  /** What buckets point at. */
  exemplars?: Exemplars;
  ready(): { ready: boolean; reason: string };
  /** Whether it can still become ready by itself. */
  alive(): { alive: boolean; reason: string };
  source(): 'live' | 'replay';
  log: Log;
}

export interface SlowOperations {
  /** Kinds that are on. */
  kinds: readonly SpanKind[];
  /** The last ones, newest first, and the slowest ones, slowest first, of a kind or of all. */
  slow(
    kind: SpanKind | undefined,
    limit: number,
  ): { last: readonly TraceRecord[]; slowest: readonly TraceRecord[] };
  /** Those with this id, newest first. */
  find(traceId: string, kind: SpanKind | undefined, limit: number): readonly TraceRecord[];
}

/** `/api/v1/status`, and what the page shows. */
export interface StatusDocument {
  version: string;
  source: 'live' | 'replay';
  ready: boolean;
  /** Why it is not ready, or why the capture cannot be asked; else empty. */
  reason: string;
  /** Null while the capture thread cannot be asked. */
  capture: CaptureStatus | null;
}

/** Gathers the status document; a capture that does not answer is part of it, not an error. */
export async function readStatus(deps: HttpDeps): Promise<StatusDocument> {
  const { ready, reason } = deps.ready();
  const known = { version: deps.version, source: deps.source() };
  try {
    return { ...known, ready, reason: ready ? '' : reason, capture: await deps.status() };
  } catch (error) {
    return { ...known, ready, reason: reason || messageOf(error), capture: null };
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
