/** Converts OTEL_* environment variables to config keys. Unlike in the specification, invalid values are errors. */
import { UsageError } from '../model/errors.ts';

type Value = readonly [key: string, value: string, origin: string];

const EXPORTER = 'OTEL_EXPORTER_OTLP_';
const METRICS = `${EXPORTER}METRICS_`;

/** Names of exporter variables, without prefix. Each exists for both signals, for metrics and for traces. */
const SHARED: readonly (readonly [name: string, read: Read])[] = [
  ['ENDPOINT', asIs],
  ['PROTOCOL', choice],
  ['HEADERS', asIs],
  ['TIMEOUT', milliseconds],
  ['COMPRESSION', choice],
  ['INSECURE', isTrue],
  ['CERTIFICATE', asIs],
  ['CLIENT_KEY', asIs],
  ['CLIENT_CERTIFICATE', asIs],
];
const OF_SIGNALS = ['', 'METRICS_', 'TRACES_'];

const OTHERS: readonly (readonly [variable: string, key: string, read: Read])[] = [
  [`${METRICS}DEFAULT_HISTOGRAM_AGGREGATION`, 'otlp.histogram_aggregation', choice],
  [`${METRICS}TEMPORALITY_PREFERENCE`, 'no key', onlyCumulative],
  ['OTEL_METRICS_EXPORTER', 'otlp.metrics', exporterOf('otlp', 'prometheus', 'none')],
  ['OTEL_TRACES_EXPORTER', 'otlp.traces', exporterOf('otlp', 'none')],
  ['OTEL_METRIC_EXPORT_INTERVAL', 'otlp.metric_export_interval', milliseconds],
  ['OTEL_METRIC_EXPORT_TIMEOUT', 'otlp.metric_export_timeout', milliseconds],
  ['OTEL_BSP_MAX_QUEUE_SIZE', 'otlp.trace_max_queue_size', asIs],
  ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'otlp.trace_max_export_batch_size', asIs],
  ['OTEL_BSP_SCHEDULE_DELAY', 'otlp.trace_schedule_delay', milliseconds],
  ['OTEL_BSP_EXPORT_TIMEOUT', 'otlp.trace_export_timeout', milliseconds],
  ['OTEL_RESOURCE_ATTRIBUTES', 'otlp.resource_attributes', asIs],
  ['OTEL_SERVICE_NAME', 'otlp.service_name', asIs],
];

/** Returns the config keys that OTEL_* variables set. Throws a `UsageError` for an invalid value. */
export function fromOpenTelemetry(env: NodeJS.ProcessEnv): Value[] {
  const disabled = textOf(env, 'OTEL_SDK_DISABLED');
  if (disabled !== undefined && isTrue(disabled) === 'true') {
    return ['otlp.metrics', 'otlp.traces'].map((key) => [key, 'false', 'OTEL_SDK_DISABLED']);
  }
  const values: Value[] = [];
  const take = (variable: string, key: string, read: Read) => {
    const text = textOf(env, variable);
    const value = text === undefined ? undefined : read(text, variable);
    if (value !== undefined) values.push([key, value, variable]);
  };
  for (const signal of OF_SIGNALS) {
    for (const [name, read] of SHARED)
      take(EXPORTER + signal + name, `otlp.${(signal + name).toLowerCase()}`, read);
  }
  for (const [variable, key, read] of OTHERS) take(variable, key, read);
  return values;
}

type Read = (text: string, variable: string) => string | undefined;

function textOf(env: NodeJS.ProcessEnv, variable: string): string | undefined {
  return env[variable]?.trim() || undefined;
}

function asIs(text: string): string {
  return text;
}

function choice(text: string): string {
  return text.toLowerCase();
}

/** Any value except `true` means false, as in the specification. */
function isTrue(text: string): string {
  return String(text.toLowerCase() === 'true');
}

function milliseconds(text: string, variable: string): string {
  if (/^\d{1,12}$/.test(text)) return `${Number(text)}ms`;
  throw new UsageError(`${variable}: ${JSON.stringify(text)} is not a whole number of milliseconds`);
}

/** Makes a parser of exporter names. The parser returns 'true' for a list with `otlp`, and throws for unknown names. */
function exporterOf(...allowed: readonly string[]): Read {
  return (text, variable) => {
    const names = text.split(',').map((name) => name.trim().toLowerCase());
    const other = names.find((name) => !allowed.includes(name));
    if (other !== undefined) {
      throw new UsageError(`${variable}: ${JSON.stringify(other)} is not one of ${allowed.join(', ')}`);
    }
    return String(names.includes('otlp'));
  };
}

/** Rejects other temporalities, because a backend that expects deltas would misread our cumulative values. */
function onlyCumulative(text: string, variable: string): undefined {
  if (text.toLowerCase() === 'cumulative') return undefined;
  throw new UsageError(
    `${variable}: ${JSON.stringify(text)} is not supported: only cumulative temporality is exported`,
  );
}
