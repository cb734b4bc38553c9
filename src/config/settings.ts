/** Builds config layers from environment variables and flags. `FTRACE_EXPORTER_A_B_C` sets the key `a.b_c`. */
import { UsageError } from '../model/errors.ts';
import { fromOpenTelemetry } from './otel-variables.ts';
import { SHARED_KEYS, SIGNALS } from './otlp.ts';
import { overlay } from './overlay.ts';
import { didYouMean } from './suggest.ts';
import { CONFIG_FILE, PREFIX } from './variables.ts';

const OTLP_KEYS = [
  ...SIGNALS,
  ...['', ...SIGNALS.map((signal) => `${signal}_`)].flatMap((prefix) =>
    SHARED_KEYS.map((key) => prefix + key),
  ),
  'metric_export_interval',
  'metric_export_timeout',
  'histogram_aggregation',
  'trace_max_queue_size',
  'trace_max_export_batch_size',
  'trace_schedule_delay',
  'trace_export_timeout',
  'service_name',
  'resource_attributes',
];

/** Keys that an environment variable can set. `flag` is absent if the key has no flag. */
export const SETTINGS: readonly { key: string; flag?: string }[] = [
  { key: 'instance', flag: '--instance' },
  { key: 'reader', flag: '--reader' },
  { key: 'buffer.total' },
  { key: 'buffer.subbuffer' },
  { key: 'buffer.per_cpu' },
  { key: 'drain_interval' },
  { key: 'max_window' },
  { key: 'recording_cost' },
  ...['cpu', 'of', 'window', 'suspend', 'suspend_at_most'].map((key) => ({ key: `budget.${key}` })),
  { key: 'web.listen_address', flag: '--web.listen-address' },
  { key: 'web.telemetry_path', flag: '--web.telemetry-path' },
  { key: 'web.config_file', flag: '--web.config.file' },
  { key: 'web.max_requests', flag: '--web.max-requests' },
  { key: 'history.enabled' },
  { key: 'history.fine' },
  { key: 'history.coarse' },
  { key: 'containers.enabled' },
  { key: 'containers.max' },
  { key: 'containers.cgroup' },
  { key: 'containers.pod_logs' },
  { key: 'containers.keep' },
  ...OTLP_KEYS.map((key) => ({ key: `otlp.${key}` })),
  { key: 'spans.max_traces_per_second' },
  { key: 'spans.containers' },
  { key: 'spans.top_level_markers' },
  { key: 'spans.essential' },
  { key: 'log.level', flag: '--log.level' },
  { key: 'log.format', flag: '--log.format' },
  { key: 'tracefs', flag: '--path.tracefs' },
  { key: 'state_dir', flag: '--state.dir' },
];

/** Comma-separated lists of probes. These variables and `CONFIG_FILE` belong to no key. */
const PROBE = `${PREFIX}PROBE`;
const NO_PROBE = `${PREFIX}NO_PROBE`;
const NO_KEYS = [CONFIG_FILE, PROBE, NO_PROBE];

/** Ignored endings. For a Service named `ftrace-exporter…`, Kubernetes sets variables with our prefix. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** Values in the shape of the config file, and the variable or flag that set each value. */
export interface Layer {
  value: Record<string, unknown>;
  /** Maps the dotted path of a key to the variable or flag that set the key. */
  origins: ReadonlyMap<string, string>;
}

/** Switches a probe on or off by name. Later switches override earlier ones. */
export interface ProbeSwitch {
  name: string;
  on: boolean;
}

export function variableOf(key: string): string {
  return PREFIX + key.replaceAll('.', '_').toUpperCase();
}

/** Throws a `UsageError` for an unknown variable, and for an invalid OTEL_* variable. */
export function fromEnvironment(env: NodeJS.ProcessEnv): { layer: Layer; configFile: string | undefined } {
  const keys = new Map(SETTINGS.map(({ key }) => [variableOf(key), key]));
  const values: (readonly [key: string, value: string, origin: string])[] = fromOpenTelemetry(env);
  const unknown: string[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || value === undefined || value === '') continue;
    const key = keys.get(variable);
    if (key !== undefined) values.push([key, value, variable]);
    else if (!NO_KEYS.includes(variable) && !SERVICE_LINK.test(variable)) {
      const hint = didYouMean(variable, [...keys.keys(), ...NO_KEYS]);
      unknown.push(`environment: ftrace-exporter has no variable ${variable}${hint}`);
    }
  }
  if (unknown.length > 0) throw new UsageError(unknown.join('\n'));
  const switches = [...switchedBy(PROBE, true, env), ...switchedBy(NO_PROBE, false, env)];
  return { layer: layerOf(values, switches), configFile: env[CONFIG_FILE] || undefined };
}

function switchedBy(
  variable: string,
  on: boolean,
  env: NodeJS.ProcessEnv,
): (ProbeSwitch & { origin: string })[] {
  const names = (env[variable] ?? '').split(',').map((name) => name.trim());
  return names.filter((name) => name !== '').map((name) => ({ name, on, origin: variable }));
}

/** Makes the config layer of the flags, from values by key and from probe switches. */
export function fromFlags(values: Readonly<Record<string, string>>, switches: readonly ProbeSwitch[]): Layer {
  const flagOf = (key: string) => SETTINGS.find((setting) => setting.key === key)?.flag ?? key;
  return layerOf(
    Object.entries(values).map(([key, value]) => [key, value, flagOf(key)]),
    switches.map((s) => ({ ...s, origin: s.on ? '--probe' : '--no-probe' })),
  );
}

function layerOf(
  values: readonly (readonly [key: string, value: string, origin: string])[],
  switches: readonly (ProbeSwitch & { origin: string })[],
): Layer {
  const origins = new Map<string, string>();
  let value: Record<string, unknown> = {};
  for (const [key, text, origin] of values) {
    value = overlay(value, nested(key.split('.'), text)) as Record<string, unknown>;
    origins.set(key, origin);
  }
  for (const { name, on, origin } of switches) {
    value = overlay(value, nested(['probes', name], { enabled: on })) as Record<string, unknown>;
    origins.set(`probes.${name}.enabled`, origin);
  }
  return { value, origins };
}

function nested(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, name) => Object.fromEntries([[name, inner]]), value);
}
