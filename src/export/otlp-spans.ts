/**
 * Traces in, what the SDK's encoder takes for ended spans out. They are made here rather than by its tracer, which would
 * make ids and times of its own. Spans of one resource share an object, for by that the encoder groups them.
 */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { SpanRecord, TraceRecord } from '../model/span.ts';

export type EndedSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

export interface SpanMaker {
  /** Spans of a request. */
  make(traces: readonly TraceRecord[]): EndedSpan[];
}

/** Of the pod that the agent runs in: a process of another pod is not in it, though on the same node. */
const OF_OWN_POD = ['k8s.namespace.name', 'k8s.pod.name', 'k8s.pod.uid', 'k8s.pod.ip', 'k8s.container.name'];

const UNSET = { code: SpanStatusCode.UNSET };

/** `own`: attributes of who sends them; those of what was traced win. */
export function createSpanMaker(
  own: Readonly<Record<string, string>>,
  scope: { name: string; version: string },
): SpanMaker {
  const agent = defaultResource().merge(resourceFromAttributes(own));
  const node = defaultResource().merge(
    resourceFromAttributes(
      Object.fromEntries(Object.entries(own).filter(([name]) => !OF_OWN_POD.includes(name))),
    ),
  );

  const endedSpan = (traceId: string, record: SpanRecord, isRoot: boolean, resource: Resource): EndedSpan => {
    const { spanId, parentSpanId, error } = record;
    const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
    // The parent of a root is a span of an application.
    const parentSpanContext = { ...context, spanId: parentSpanId, isRemote: isRoot };
    return {
      name: record.name,
      kind: SpanKind.INTERNAL,
      spanContext: () => context,
      ...(parentSpanId === '' ? {} : { parentSpanContext }),
      startTime: [...record.start],
      endTime: [...record.end],
      duration: durationOf(record.durationNs),
      ended: true,
      status: error === undefined ? UNSET : { code: SpanStatusCode.ERROR, message: error },
      attributes: attributesOf(record),
      links: [],
      events: [],
      resource,
      instrumentationScope: scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  };

  return {
    make: (traces) => {
      const resources = new Map<string, Resource>();
      const resourceOf = (traced: TraceRecord['resource']): Resource => {
        const key = JSON.stringify(Object.entries(traced).sort(([a], [b]) => (a < b ? -1 : 1)));
        let resource = resources.get(key);
        if (resource === undefined) {
          const isElsewhere = 'container.id' in traced || 'k8s.pod.uid' in traced;
          resource = (isElsewhere ? node : agent).merge(resourceFromAttributes(traced));
          resources.set(key, resource);
        }
        return resource;
      };
      return traces.flatMap(({ traceId, spans, resource }) => {
        const merged = resourceOf(resource);
        return spans.map((span, i) => endedSpan(traceId, span, i === 0, merged));
      });
    },
  };
}

function attributesOf({ attributes }: SpanRecord): EndedSpan['attributes'] {
  // The API's lists are not readonly; nobody writes to these.
  return attributes as EndedSpan['attributes'];
}

function durationOf(ns: number): [number, number] {
  const whole = Math.floor(ns / 1e9);
  return [whole, ns - whole * 1e9];
}
