/**
 * Traces in, what the SDK's encoder takes for ended spans out. They are made here rather than by its tracer, which would
 * make ids and times of its own. Spans of one resource share an object, for by that the encoder groups them.
 */
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { SpanRecord, TraceRecord } from '../../model/span.ts';

export type EndedSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];

export interface SpanMaker {
  /** Spans of a request. */
  make(traces: readonly TraceRecord[]): EndedSpan[];
}

/**
 * Attributes of the agent's own pod and container. No span has them: the agent traces no thread of its own, so what it
 * traces belongs to another container, to the node itself, or to a task that has ended.
 */
function isOfOwnPod(name: string): boolean {
  return /^(container|k8s)\./.test(name) && !/^k8s\.(node|cluster)\./.test(name);
}

const UNSET = { code: SpanStatusCode.UNSET };

/** `agent`: the resource of the agent. Spans get what is true of the node, and over it the attributes of what was traced. */
export function createSpanMaker(agent: Resource, scope: { name: string; version: string }): SpanMaker {
  // Made for each request, because detectors of the resource may still be at work at the start.
  const nodeResource = (): Resource => {
    const ofNode = Object.entries(agent.attributes).filter(([name]) => !isOfOwnPod(name));
    return resourceFromAttributes(Object.fromEntries(ofNode));
  };

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
  // The API's lists are not readonly; nobody writes to these.
  return attributes as EndedSpan['attributes'];
}

function durationOf(ns: number): [number, number] {
  const whole = Math.floor(ns / 1e9);
  return [whole, ns - whole * 1e9];
}
