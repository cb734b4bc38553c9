/**
 * The section `otlp` of the config: where and how metrics are pushed. Its keys are named as the OTEL_* variables that
 * say the same. Pushing is on where an endpoint is given, or `metrics` says so.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { OTLP_PROTOCOLS, type OtlpConfig, type OtlpProtocol } from '../model/otlp.ts';
import { parseKeyValues } from './key-values.ts';
import { duration, yesOrNo } from './units.ts';

const MS = 1e6;
const HOUR = 3_600_000 * MS;
const DEFAULT_ENDPOINT = { http: 'http://localhost:4318', grpc: 'http://localhost:4317' };

function file() {
  return z.string().regex(/^[^\0]+$/, 'must be a file in PEM, as in /etc/ssl/collector.pem');
}

/** A map, or its text as variables have it. What is wrong is told without the values: they may be secrets. */
function pairs(want: string) {
  const map = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String));
  const text = z.string().transform((written, context) => {
    try {
      return parseKeyValues(written);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `no ${want}: ${(error as Error).message}` });
      return z.NEVER;
    }
  });
  return z.union([map, text], {
    error: (issue) => issue.errors?.at(-1)?.[0]?.message.replace(/^Invalid.*/s, `not ${want}`),
  });
}

function headers() {
  return pairs('pairs of header and value, as in "api-key=secret"').superRefine((map, context) => {
    for (const [name, value] of Object.entries(map)) {
      try {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      } catch {
        const message = `no header: the name or the value of ${JSON.stringify(name)} has characters that none can have`;
        context.addIssue({ code: 'custom', message });
      }
    }
  });
}

/** Schema of the section. */
export function otlpSchema() {
  const endpoint = z.string().regex(/^[^\s\0]+$/, 'must be a URL, as in http://collector:4318');
  return z
    .strictObject({
      metrics: yesOrNo().optional(),
      endpoint: endpoint.optional(),
      metrics_endpoint: endpoint.optional(),
      protocol: z.enum(OTLP_PROTOCOLS).default('http/protobuf'),
      insecure: yesOrNo().prefault(false),
      headers: headers().optional(),
      timeout: duration({ min: MS, max: HOUR }).prefault('10s'),
      compression: z.enum(['none', 'gzip']).default('none'),
      certificate: file().optional(),
      client_key: file().optional(),
      client_certificate: file().optional(),
      metric_export_interval: duration({ min: 100 * MS, max: 24 * HOUR }).prefault('60s'),
      metric_export_timeout: duration({ min: MS, max: HOUR }).prefault('30s'),
      histogram_aggregation: z
        .enum(['explicit_bucket_histogram', 'base2_exponential_bucket_histogram'])
        .default('explicit_bucket_histogram'),
      service_name: z.string().min(1, 'must be a name').optional(),
      resource_attributes: pairs(
        'pairs of attribute and value, as in "deployment.environment.name=test"',
      ).optional(),
    })
    .superRefine((otlp, context) => {
      for (const key of ['endpoint', 'metrics_endpoint'] as const) {
        const said = otlp[key];
        const problem = said === undefined ? undefined : whatIsWrong(said, otlp.protocol);
        if (problem !== undefined) context.addIssue({ code: 'custom', path: [key], message: problem });
      }
      const [alone, missing] =
        otlp.client_certificate === undefined
          ? (['client_key', 'client_certificate'] as const)
          : (['client_certificate', 'client_key'] as const);
      if (otlp[alone] !== undefined && otlp[missing] === undefined) {
        context.addIssue({ code: 'custom', path: [alone], message: `is of no use without ${missing}` });
      }
    });
}

type Checked = z.output<ReturnType<typeof otlpSchema>>;

/** What is wrong with an endpoint; undefined when nothing is. */
function whatIsWrong(endpoint: string, protocol: OtlpProtocol): string | undefined {
  const isGrpc = protocol === 'grpc';
  const want = isGrpc
    ? 'must be a URL or host:port, as in http://collector:4317'
    : 'must be a URL, as in http://collector:4318';
  if (!/^https?:\/\//i.test(endpoint) && !(isGrpc && /^[^/]+:\d+$/.test(endpoint))) return want;
  const url = URL.parse(withScheme(endpoint, false));
  if (url === null || url.hash !== '') return want;
  if (isGrpc && (url.pathname !== '/' || url.search !== '')) return 'has a path, which gRPC has no use for';
  if (isGrpc && (url.username !== '' || url.password !== '')) return 'has a user, whom gRPC has no use for';
  return undefined;
}

/** An endpoint of gRPC can be without a scheme: then `insecure` tells whether it is without TLS. */
function withScheme(endpoint: string, insecure: boolean): string {
  return /^https?:\/\//i.test(endpoint) ? endpoint : `${insecure ? 'http' : 'https'}://${endpoint}`;
}

/** The section as the agent takes it; undefined where nothing is pushed. */
export function toOtlpConfig(checked: Checked): OtlpConfig | undefined {
  const wanted = checked.metrics ?? (checked.endpoint ?? checked.metrics_endpoint) !== undefined;
  if (!wanted) return undefined;
  const interval = checked.metric_export_interval / MS;
  const { service_name: serviceName, resource_attributes: attributes = {} } = checked;
  return {
    metrics: {
      target: {
        protocol: checked.protocol,
        url: urlOf(checked),
        headers: checked.headers ?? {},
        timeoutMs: checked.timeout / MS,
        compression: checked.compression,
        ...(checked.certificate === undefined ? {} : { certificateFile: checked.certificate }),
        ...(checked.client_key === undefined ? {} : { clientKeyFile: checked.client_key }),
        ...(checked.client_certificate === undefined
          ? {}
          : { clientCertificateFile: checked.client_certificate }),
      },
      intervalMs: interval,
      exportTimeoutMs: Math.min(checked.metric_export_timeout / MS, interval),
      histograms: checked.histogram_aggregation === 'explicit_bucket_histogram' ? 'explicit' : 'exponential',
    },
    resource: serviceName === undefined ? attributes : { ...attributes, 'service.name': serviceName },
  };
}

/** Only what is said for metrics alone is taken as it stands: to the others HTTP adds the signal's path. */
function urlOf({ protocol, endpoint, metrics_endpoint: own, insecure }: Checked): string {
  if (protocol === 'grpc') return withScheme(own ?? endpoint ?? DEFAULT_ENDPOINT.grpc, insecure);
  if (own !== undefined) return new URL(own).href;
  const url = new URL(endpoint ?? DEFAULT_ENDPOINT.http);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/metrics`;
  return url.href;
}
