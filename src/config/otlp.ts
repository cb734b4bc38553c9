/** The section `otlp` of the config: where and how to export the two signals, metrics and traces. */

import { z } from 'zod';
import { reasonOf } from '../model/errors.ts';
import { OTLP_HISTOGRAMS, OTLP_PROTOCOLS, type OtlpConfig, type OtlpTarget } from '../model/otlp.ts';
import { parseKeyValues } from './key-values.ts';
import { count, duration, yesOrNo } from './units.ts';

const MS = 1e6;
const HOUR = 3_600_000 * MS;
const DEFAULT_ENDPOINT = { http: 'http://localhost:4318', grpc: 'http://localhost:4317' };

/** Schema of a map or of a text such as `a=b,c=d`. Messages contain no values, because values can be secrets. */
function pairs(want: string) {
  const map = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
  const text = z.string().transform((written, context) => {
    try {
      return parseKeyValues(written);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `not ${want}: ${reasonOf(error)}` });
      return z.NEVER;
    }
  });
  return z.union([map, text], {
    error: (issue) => issue.errors?.at(-1)?.[0]?.message.replace(/^Invalid.*/s, `not ${want}`),
  });
}

/** Schema of headers that both HTTP and gRPC can send. gRPC allows fewer characters than HTTP. */
function headers() {
  return pairs('pairs of header and value, as in "api-key=secret"').superRefine((map, context) => {
    for (const [name, value] of Object.entries(map)) {
      if (/^[\w.-]+(?<!-bin)$/i.test(name) && /^[ -~]*$/.test(value)) continue;
      const message = `not a valid header: the name or value of ${JSON.stringify(name)} has characters that are not allowed in headers`;
      context.addIssue({ code: 'custom', message });
    }
  });
}

export const SIGNALS = ['metrics', 'traces'] as const;
type Signal = (typeof SIGNALS)[number];

/** Keys that apply to both signals. With the prefix `metrics_` or `traces_`, a key applies to one signal. */
function sharedShape() {
  const file = z.string().regex(/^[^\0]+$/, 'must be a file in PEM, as in /etc/ssl/collector.pem');
  return {
    endpoint: z.string().regex(/^[^\s\0]+$/, 'must be a URL, as in http://collector:4318'),
    protocol: z.enum(OTLP_PROTOCOLS),
    insecure: yesOrNo(),
    headers: headers(),
    timeout: duration({ min: MS, max: HOUR }),
    compression: z.enum(['none', 'gzip']),
    certificate: file,
    client_key: file,
    client_certificate: file,
  };
}
type Shape = ReturnType<typeof sharedShape>;
type Shared = { [Key in keyof Shape]: z.output<Shape[Key]> };
export const SHARED_KEYS = Object.keys(sharedShape());

/** The keys of one signal. They have no defaults: if a key is missing, the common key applies. */
function shapeOf<Name extends Signal>(signal: Name) {
  const keys = Object.entries(sharedShape()).map(([key, type]) => [`${signal}_${key}`, type.optional()]);
  return Object.fromEntries(keys) as { [Key in keyof Shape as `${Name}_${Key}`]: z.ZodOptional<Shape[Key]> };
}

export function otlpSchema() {
  const all = sharedShape();
  return z
    .strictObject({
      metrics: yesOrNo().optional(),
      traces: yesOrNo().optional(),
      ...z.object(all).partial().shape,
      protocol: all.protocol.default('http/protobuf'),
      insecure: all.insecure.prefault(false),
      timeout: all.timeout.prefault('10s'),
      compression: all.compression.default('none'),
      ...shapeOf('metrics'),
      ...shapeOf('traces'),
      metric_export_interval: duration({ min: 100 * MS, max: 24 * HOUR }).prefault('60s'),
      metric_export_timeout: duration({ min: MS, max: HOUR }).prefault('30s'),
      histogram_aggregation: z.enum(OTLP_HISTOGRAMS).default('explicit_bucket_histogram'),
      trace_max_queue_size: count(1, 1_000_000).prefault(16_384),
      trace_max_export_batch_size: count(1, 10_000).prefault(512),
      trace_schedule_delay: duration({ min: MS, max: HOUR }).prefault('1s'),
      trace_export_timeout: duration({ min: MS, max: HOUR }).prefault('30s'),
      service_name: z.string().min(1, 'must not be empty').optional(),
      resource_attributes: pairs(
        'pairs of attribute and value, as in "deployment.environment.name=test"',
      ).optional(),
    })
    .superRefine((otlp, context) => {
      const say = (key: string, message: string): void => {
        context.addIssue({ code: 'custom', path: [key], message });
      };
      const protocols = SIGNALS.map((signal) => otlp[`${signal}_protocol`] ?? otlp.protocol);
      const wrong = new Map<string, string>();
      for (const [i, signal] of SIGNALS.entries()) {
        const own = `${signal}_endpoint` as const;
        if (otlp[own] === undefined && otlp[signal] === false) continue;
        const key = otlp[own] === undefined ? 'endpoint' : own;
        const problem = whatIsWrong(otlp[key] ?? DEFAULT_ENDPOINT.http, protocols[i]);
        if (problem === undefined || wrong.has(key)) continue;
        const user =
          key === own || protocols[0] === protocols[1] ? '' : `: ${signal} are sent by ${protocols[i]}`;
        wrong.set(key, problem + user);
      }
      for (const [key, problem] of wrong) say(key, problem);
      for (const prefix of ['', 'metrics_', 'traces_'] as const) {
        const [key, certificate] = [`${prefix}client_key`, `${prefix}client_certificate`] as const;
        if (otlp[key] && !otlp[certificate]) say(key, `has no effect without ${certificate}`);
        if (otlp[certificate] && !otlp[key]) say(certificate, `has no effect without ${key}`);
      }
    });
}

type Checked = z.output<ReturnType<typeof otlpSchema>>;

/** Describes the problem with an endpoint. Returns undefined if the endpoint is valid. */
function whatIsWrong(endpoint: string, protocol: OtlpTarget['protocol']): string | undefined {
  const isGrpc = protocol === 'grpc';
  const want = isGrpc
    ? 'must be a URL or host:port, as in http://collector:4317'
    : 'must be a URL, as in http://collector:4318';
  if (!/^https?:\/\//i.test(endpoint) && !(isGrpc && /^[^/]+:\d+$/.test(endpoint))) return want;
  const url = URL.parse(withScheme(endpoint, false));
  if (url === null || url.hash !== '') return want;
  if (isGrpc && (url.pathname !== '/' || url.search !== '')) return 'has a path, which gRPC does not use';
  if (isGrpc && (url.username !== '' || url.password !== '')) return 'has a user, which gRPC does not use';
  return undefined;
}

/** Adds a scheme to a gRPC endpoint that has none: http (without TLS) if `insecure`, otherwise https. */
function withScheme(endpoint: string, insecure: boolean): string {
  return /^https?:\/\//i.test(endpoint) ? endpoint : `${insecure ? 'http' : 'https'}://${endpoint}`;
}

/** Converts the section. Returns undefined if nothing is exported. `hasTraces`: whether any kind of traces is on. */
export function toOtlpConfig(checked: Checked, hasTraces: boolean): OtlpConfig | undefined {
  const wants = (signal: Signal): boolean =>
    checked[signal] ?? (checked.endpoint ?? checked[`${signal}_endpoint`]) !== undefined;
  const isOn = { metrics: wants('metrics'), traces: hasTraces && wants('traces') };
  if (!isOn.metrics && !isOn.traces) return undefined;
  const interval = checked.metric_export_interval / MS;
  const { service_name: serviceName, resource_attributes: attributes = {} } = checked;
  const metrics = {
    target: targetOf(checked, 'metrics'),
    intervalMs: interval,
    exportTimeoutMs: Math.min(checked.metric_export_timeout / MS, interval),
    histograms: checked.histogram_aggregation,
  };
  const traces = {
    target: targetOf(checked, 'traces'),
    maxQueueSpans: checked.trace_max_queue_size,
    maxBatchSpans: Math.min(checked.trace_max_export_batch_size, checked.trace_max_queue_size),
    delayMs: checked.trace_schedule_delay / MS,
    exportTimeoutMs: checked.trace_export_timeout / MS,
  };
  return {
    metrics: isOn.metrics ? metrics : undefined,
    traces: isOn.traces ? traces : undefined,
    resource: serviceName === undefined ? attributes : { ...attributes, 'service.name': serviceName },
  };
}

/** Returns where and how to send a signal. The keys of the signal override the common keys. */
function targetOf(checked: Checked, signal: Signal): OtlpTarget {
  const setting = <Key extends keyof Shared>(key: Key): Shared[Key] =>
    (checked[`${signal}_${key}`] ?? checked[key]) as Shared[Key];
  const protocol = setting('protocol');
  return {
    protocol,
    url:
      protocol === 'grpc'
        ? withScheme(setting('endpoint') ?? DEFAULT_ENDPOINT.grpc, setting('insecure'))
        : httpUrl(signal, checked),
    headers: setting('headers') ?? {},
    timeoutMs: setting('timeout') / MS,
    compression: setting('compression'),
    certificateFile: setting('certificate'),
    clientKeyFile: setting('client_key'),
    clientCertificateFile: setting('client_certificate'),
  };
}

/** Returns the signal's own endpoint unchanged, or the common endpoint with a path such as `/v1/traces`. */
function httpUrl(signal: Signal, checked: Checked): string {
  const own = checked[`${signal}_endpoint`];
  const url = new URL(own ?? checked.endpoint ?? DEFAULT_ENDPOINT.http);
  if (own === undefined) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/${signal}`;
  return url.href;
}
