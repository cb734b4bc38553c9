/** Makes traces for tests, and decodes requests of traces with protobufjs. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { SpanKind, TraceRecord } from '../../src/model/span.ts';

const PROTO = fileURLToPath(new URL('../fixtures/otlp/trace.proto', import.meta.url));
const root = protobuf.loadSync(PROTO);

export interface ReceivedSpan {
  resource: Record<string, unknown>;
  scope: { name: string; version: string };
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: number;
  flags: number;
  start: bigint;
  end: bigint;
  attributes: Record<string, unknown>;
  status: { code: number; message: string };
}

// biome-ignore lint/suspicious/noExplicitAny: a decoded message has the shape that its schema says.
type Message = any;

/** Returns the number of `ResourceSpans` in a request, and all their spans. */
export function decodeSpans(
  body: Uint8Array,
  encoding: 'protobuf' | 'json' = 'protobuf',
): { resources: number; spans: ReceivedSpan[] } {
  const type = root.lookupType('otlp.ExportTraceServiceRequest');
  const request: Message =
    encoding === 'json'
      ? JSON.parse(Buffer.from(body).toString())
      : type.toObject(type.decode(body), { longs: String, bytes: Buffer, defaults: false, arrays: true });
  const hex = (id: Buffer | string | undefined) =>
    typeof id === 'string' ? id : (id?.toString('hex') ?? '');
  const spans = request.resourceSpans.flatMap(({ resource, scopeSpans }: Message) =>
    scopeSpans.flatMap(({ scope, spans: ofScope }: Message) =>
      ofScope.map((span: Message) => ({
        resource: attributesOf(resource.attributes),
        scope: { name: scope.name, version: scope.version },
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        name: span.name,
        kind: span.kind,
        flags: span.flags,
        start: BigInt(span.startTimeUnixNano),
        end: BigInt(span.endTimeUnixNano),
        attributes: attributesOf(span.attributes),
        status: { code: span.status?.code ?? 0, message: span.status?.message ?? '' },
      })),
    ),
  );
  return { resources: request.resourceSpans.length, spans };
}

export function tracePartialSuccess(rejectedSpans: number, errorMessage: string): Buffer {
  const type = root.lookupType('otlp.ExportTraceServiceResponse');
  return Buffer.from(
    type.encode(type.fromObject({ partialSuccess: { rejectedSpans, errorMessage } })).finish(),
  );
}

function attributesOf(pairs: Message[] = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, attributeValue(value)]));
}

function attributeValue(value: Message): unknown {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(attributeValue);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue;
}

let made = 0;

/** Makes a trace with unique ids: a root span and consecutive child spans. */
export function traceOf(
  kind: SpanKind = 'syscalls',
  { children = 1, durationNs = 80_000_000, startSeconds = 1_764_000_000, ...more } = {} as {
    children?: number;
    durationNs?: number;
    startSeconds?: number;
  } & Partial<TraceRecord>,
): TraceRecord {
  const n = ++made;
  const id = (i: number) => (n * 4096 + i + 1).toString(16).padStart(16, '0');
  const part = Math.floor(durationNs / Math.max(1, children));
  return {
    kind,
    traceId: n.toString(16).padStart(32, '0'),
    spans: [
      {
        name: 'syscall fsync',
        spanId: id(0),
        parentSpanId: '',
        start: [startSeconds, 5],
        end: [startSeconds, 5 + durationNs],
        durationNs,
        attributes: { 'process.pid': 42 },
      },
      ...Array.from({ length: children }, (_, i) => ({
        name: 'block write',
        spanId: id(i + 1),
        parentSpanId: id(0),
        start: [startSeconds, 5 + i * part] as const,
        end: [startSeconds, 5 + (i + 1) * part] as const,
        durationNs: part,
        attributes: { 'system.device': 'sda' },
      })),
    ],
    weightNs: durationNs,
    pruned: 0,
    resource: {},
    exemplars: [],
    ...more,
  };
}
