/**
 * Converts traces to ended spans for the SDK's encoder. The SDK's tracer would assign its own IDs and times. Spans with
 * equal resources share one object, because the encoder groups spans by resource object.
 */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { hrTimeDuration } from '@opentelemetry/core';
import type { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { TraceRecord } from '../../model/span.ts';

type EndedSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

/** Attributes of the agent's own pod and container. They would be wrong for traced tasks. */
const OF_OWN_POD = /^(container|k8s(?!\.(node|cluster)\.))\./;

/** Returns the spans of `traces`. The resource attributes of a traced task override those of the node. */
export function endedSpans(
  traces: readonly TraceRecord[],
  agent: Resource,
  instrumentationScope: EndedSpan['instrumentationScope'],
): EndedSpan[] {
  const ofNode = Object.entries(agent.attributes).filter(([name]) => !OF_OWN_POD.test(name));
  const node = resourceFromAttributes(Object.fromEntries(ofNode));
  const resources = new Map<string, Resource>();
  return traces.flatMap(({ traceId, spans, resource: traced }) => {
    const key = JSON.stringify(traced);
    const resource = resources.get(key) ?? node.merge(resourceFromAttributes(traced));
    resources.set(key, resource);
    return spans.map(({ name, spanId, parentSpanId, start, end, attributes, error }, i): EndedSpan => {
      const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
      // The parent of a root span is remote, because the parent is an application's span.
      const parent = { ...context, spanId: parentSpanId, isRemote: i === 0 };
      return {
        name,
        kind: SpanKind.INTERNAL,
        spanContext: () => context,
        ...(parentSpanId && { parentSpanContext: parent }),
        startTime: [...start],
        endTime: [...end],
        duration: hrTimeDuration([...start], [...end]),
        ended: true,
        status:
          error === undefined
            ? { code: SpanStatusCode.UNSET }
            : { code: SpanStatusCode.ERROR, message: error },
        // The API's types are mutable, but nothing changes these attributes.
        attributes: attributes as EndedSpan['attributes'],
        links: [],
        events: [],
        resource,
        instrumentationScope,
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      };
    });
  });
}
