/**
 * Converts traces to ended spans for the SDK's encoder. We don't use the SDK's tracer, because it would make its own IDs
 * and times. Spans of one resource share an object, because the encoder groups by it.
 */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { SpanRecord, TraceRecord } from '../../model/span.ts';

export type EndedSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

export interface SpanMaker {
  /** Makes the spans of one request. */
  make(traces: readonly TraceRecord[]): EndedSpan[];
}

/**
 * Attributes of the agent's own pod and container. Spans don't get them: the agent does not trace its own threads, so a
 * traced task belongs to another container, to the node itself, or has ended.
 */
function isOfOwnPod(name: string): boolean {
  return /^(container|k8s)\./.test(name) && !/^k8s\.(node|cluster)\./.test(name);
}

const UNSET = { code: SpanStatusCode.UNSET };

/** `agent` is the agent's resource. Spans get its attributes about the node, overridden by those of the traced task. */
export function createSpanMaker(agent: Resource, scope: { name: string; version: string }): SpanMaker {
  // Made per request, because resource detectors may still be running at startup.
  const nodeResource = (): Resource => {
    const ofNode = Object.entries(agent.attributes).filter(([name]) => !isOfOwnPod(name));
    return resourceFromAttributes(Object.fromEntries(ofNode));
  };

  const endedSpan = (traceId: string, record: SpanRecord, isRoot: boolean, resource: Resource): EndedSpan => {
    const { spanId, parentSpanId, error } = record;
    const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
    // The parent of a root is an application's span.
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
      const node = nodeResource();
      const resources = new Map<string, Resource>();
      const resourceOf = (traced: TraceRecord['resource']): Resource => {
        const key = JSON.stringify(Object.entries(traced).sort(([a], [b]) => (a < b ? -1 : 1)));
        let resource = resources.get(key);
        if (resource === undefined) {
          resource = node.merge(resourceFromAttributes(traced));
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
  // The API's lists are not readonly, but nobody writes to these.
  return attributes as EndedSpan['attributes'];
}

function durationOf(ns: number): [number, number] {
  const whole = Math.floor(ns / 1e9);
  return [whole, ns - whole * 1e9];
}
