/**
 * Reads OTLP requests with protobufjs, which shares no code with the SDK that wrote them. Tests find metrics by name
 * and points by attributes.
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const PROTO = fileURLToPath(new URL('../fixtures/otlp/metrics.proto', import.meta.url));
const root = protobuf.loadSync(PROTO);

/** Encodes a message of a type in the fixture metrics.proto. */
export function encodeOtlp(type: string, message: object): Buffer {
  const messageType = root.lookupType(`otlp.${type}`);
  return Buffer.from(messageType.encode(messageType.fromObject(message)).finish());
}

export interface Point {
  attributes: Record<string, string>;
  /** Nanoseconds since 1970. */
  start: bigint;
  time: bigint;
  /** Only sums and gauges have a value. */
  value?: number;
  /** Only histograms have `count` and the following fields. */
  count?: number;
  sum?: number;
  bounds?: number[];
  counts?: number[];
  scale?: number;
  zeroCount?: number;
  positive?: { offset: number; counts: number[] };
}

export interface PushedMetric {
  name: string;
  description: string;
  unit: string;
  kind: 'gauge' | 'sum' | 'histogram' | 'exponentialHistogram';
  isMonotonic: boolean;
  isCumulative: boolean;
  points: Point[];
}

export interface Pushed {
  resource: Record<string, string>;
  scope: { name: string; version: string };
  metrics: PushedMetric[];
}

// biome-ignore lint/suspicious/noExplicitAny: a decoded message has the shape that its schema says.
type Message = any;

/**
 * Decodes a request in either encoding. Throws on bytes that are not a request, and on fields that the schema does not
 * have.
 */
export function decodePushed(body: Uint8Array, encoding: 'protobuf' | 'json'): Pushed {
  const type = root.lookupType('otlp.ExportMetricsServiceRequest');
  const message =
    encoding === 'json' ? fromJson(type, JSON.parse(Buffer.from(body).toString())) : type.decode(body);
  const request: Message = type.toObject(message, { longs: String, enums: String, arrays: true });
  const [resourceMetrics, ...more] = request.resourceMetrics;
  const [scopeMetrics, ...moreScopes] = resourceMetrics.scopeMetrics;
  if (more.length + moreScopes.length > 0) throw new Error('more than one resource or scope');
  return {
    resource: attributesOf(resourceMetrics.resource.attributes),
    scope: { name: scopeMetrics.scope.name, version: scopeMetrics.scope.version },
    metrics: scopeMetrics.metrics.map(metricOf),
  };
}

/** The metrics of a request that a Collector wrote as JSON. */
export function metricsInJson(text: string): PushedMetric[] {
  const { resourceMetrics = [] }: Message = JSON.parse(text);
  return resourceMetrics.flatMap(({ scopeMetrics }: Message) =>
    scopeMetrics.flatMap(({ metrics }: Message) => metrics.map(metricOf)),
  );
}

/** Throws on an unknown field, for example a misspelt name, which protobufjs would ignore. */
function fromJson(type: protobuf.Type, json: Message): protobuf.Message {
  const message = type.fromObject(json);
  const decoded: Message = type.toObject(message, { longs: String, arrays: true, defaults: true });
  const paths = new Set(pathsOf(decoded));
  const missing = [...pathsOf(json)].filter((path) => !paths.has(path));
  if (missing.length > 0)
    throw new Error(`JSON has fields that OTLP has not: ${missing.slice(0, 5).join(', ')}`);
  return message;
}

function* pathsOf(value: Message, path = ''): Generator<string> {
  if (typeof value !== 'object' || value === null) yield path;
  else for (const [key, inner] of Object.entries(value)) yield* pathsOf(inner, `${path}.${key}`);
}

function attributesOf(pairs: Message[] = []): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const { key, value } of pairs) {
    if (key in attributes) throw new Error(`attribute ${key} comes twice`);
    attributes[key] = value?.stringValue ?? '';
  }
  return attributes;
}

function metricOf(metric: Message): PushedMetric {
  const kind = (['gauge', 'sum', 'histogram', 'exponentialHistogram'] as const).find((k) => metric[k]);
  if (kind === undefined) throw new Error(`${metric.name} has no data`);
  const data = metric[kind];
  return {
    name: metric.name,
    description: metric.description ?? '',
    unit: metric.unit ?? '',
    kind,
    isMonotonic: data.isMonotonic === true,
    isCumulative: ['CUMULATIVE', 2].includes(data.aggregationTemporality),
    points: data.dataPoints.map((point: Message) => pointOf(point, kind)),
  };
}

function pointOf(point: Message, kind: PushedMetric['kind']): Point {
  const common = {
    attributes: attributesOf(point.attributes),
    start: BigInt(point.startTimeUnixNano ?? 0),
    time: BigInt(point.timeUnixNano),
  };
  if (kind === 'gauge' || kind === 'sum') {
    return { ...common, value: point.asDouble ?? Number(point.asInt) };
  }
  const whole = { ...common, count: Number(point.count ?? 0), sum: point.sum ?? 0 };
  if (kind === 'histogram') {
    return { ...whole, bounds: point.explicitBounds, counts: point.bucketCounts.map(Number) };
  }
  const { offset = 0, bucketCounts = [] } = point.positive ?? {};
  if ((point.negative?.bucketCounts ?? []).length > 0) throw new Error('negative buckets');
  return {
    ...whole,
    scale: point.scale,
    zeroCount: Number(point.zeroCount ?? 0),
    positive: { offset, counts: bucketCounts.map(Number) },
  };
}

/** All points of a metric. Throws if the metric is missing or appears more than once. */
export function pointsOf(pushed: Pushed, name: string): Point[] {
  const matches = pushed.metrics.filter((metric) => metric.name === name);
  if (matches.length !== 1) throw new Error(`${name} is there ${matches.length} times`);
  return matches[0].points;
}
