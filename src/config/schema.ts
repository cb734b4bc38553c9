/** The schema of the config. Converts checked values to an `AgentConfig` in base units. Unknown keys are errors. */
import { z } from 'zod';
import type { ContainersConfig } from '../model/containers.ts';
import { METRICS_PREFIX } from '../model/declared-metric.ts';
import type { OtlpConfig } from '../model/otlp.ts';
import type { SpansConfig } from '../model/span.ts';
import { type BudgetConfig, budgetSchema, toBudgetConfig } from './budget.ts';
import { containersSchema, toContainersConfig } from './containers.ts';
import { grouped, metricsSchema } from './metrics.ts';
import { otlpSchema, toOtlpConfig } from './otlp.ts';
import { isMap } from './overlay.ts';
import { spansSchema, toSpansConfig } from './spans.ts';
import { shownValue } from './units/quantity.ts';
import { count, duration, type SchemaKit, schemaKit, size, yesOrNo } from './units.ts';

/** The parts of a probe that the config needs. Every probe of the catalogue provides them. */
export interface ProbeSection {
  name: string;
  /** Whether the probe is on if the config does not name it. */
  byDefault: boolean;
  /** The metric families that the probe exports. */
  metrics?: readonly { name: string }[];
  /** Schema of the probe's section. `{}` gives all defaults, and `enabled` is one of the keys. */
  schema(kit: SchemaKit): z.ZodType<{ enabled: boolean }>;
  /** Defaults that apply only to recordings, because a recording already determines what was traced. */
  inRecordings?: Readonly<Record<string, unknown>>;
  /** What the probe determines for the kind of traces with its name. If set, the kind requires the probe. */
  choosesForKind?: string;
  /** Returns a conflicting probe and the reason, or undefined. `others`: options of other enabled probes, by name. */
  conflict?(
    options: unknown,
    others: ReadonlyMap<string, unknown>,
  ): { with: string; why: string } | undefined;
}

/** An enabled probe. `options` contains its whole section, including defaults. */
export interface ConfiguredProbe {
  name: string;
  options: Readonly<Record<string, unknown>>;
}

/** The config of the agent. Contains only plain data, because the main thread sends it to the capture thread. */
export interface AgentConfig {
  instance: string;
  reader: 'raw' | 'trace_pipe';
  buffer: { totalBytes: number; subbufferBytes: number | 'auto'; perCpuBytes?: number | undefined };
  drainIntervalMs: number;
  maxWindowMs: number;
  /** CPU time that the kernel needs to record one event, in nanoseconds, to estimate the cost of tracing. */
  recordingNs: number;
  /** Limit of the agent's CPU time. Undefined if there is no limit. */
  budget?: BudgetConfig | undefined;
  /** Enabled probes in the order of the catalogue, followed by the declared metrics as probes `metrics/NAME`. */
  probes: ConfiguredProbe[];
  disabled: string[];
  /** Directory where tracefs is mounted. Undefined if the agent must find it. */
  tracefsPath?: string | undefined;
  stateDir: string;
  web: {
    listenAddress: string;
    telemetryPath: string;
    /** File with TLS, users and rate limits. Undefined: serve plain HTTP without passwords. */
    configFile?: string | undefined;
    /** Maximum number of concurrent requests. 0 means no limit. */
    maxRequests: number;
  };
  /** How to find the container of a task. Undefined if the agent does not look up containers. */
  containers?: ContainersConfig | undefined;
  /** How metrics and traces are exported over OTLP. Undefined if neither is exported. */
  otlp?: OtlpConfig | undefined;
  /** Which slow operations become traces. Undefined if all kinds are off. */
  spans?: SpansConfig | undefined;
  /** How much history the agent keeps for its web page. Undefined if the history is off. */
  history?: { fineMs: number; coarseMs: number } | undefined;
  log: { level: LogLevel; format: 'logfmt' | 'json' };
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const MS = 1e6;

/** The kernel accepts its page size times a power of two. The decoder accepts at most 64 KiB. */
function subbuffer() {
  const powerOfTwo = size({ min: 4 * KIB, max: 64 * KIB }).refine(
    (bytes) => Number.isInteger(Math.log2(bytes)),
    'is not a power of two: it can be 4KiB, 8KiB, 16KiB, 32KiB or 64KiB',
  );
  return z.union([z.literal('auto'), powerOfTwo], {
    error: firstReason('auto, or a size from 4KiB to 64KiB'),
  });
}

/** Reports the first problem of a union's last alternative. Our unions list the most general alternative last. */
function firstReason(want: string) {
  return (issue: { input?: unknown; errors?: { message: string }[][] }) =>
    issue.errors?.at(-1)?.[0]?.message ?? `${shownValue(issue.input)} is not ${want}`;
}

function text(pattern: RegExp, problem: string) {
  return z.string({ error: problem }).regex(pattern, problem);
}

/** Routes of the HTTP server that cannot be the path of the metrics. */
const OWN_PATHS = [
  '/healthz',
  '/readyz',
  '/-/reload',
  '/api/v1/status',
  '/api/v1/slow',
  '/api/v1/history',
  '/api/v1/live',
];

function isTakenPath(path: string): boolean {
  return OWN_PATHS.includes(path) || path.startsWith('/api/v1/latency/') || path.startsWith('/page/');
}

/** Returns the schema of the whole config. All keys of `sections` must have defaults. */
export function composeSchema(sections: readonly ProbeSection[]) {
  return z.strictObject({
    instance: text(
      /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
      'must be a name of up to 64 letters, digits, _ . and -',
    ).default('ftrace-exporter'),
    reader: z.enum(['raw', 'trace_pipe']).default('raw'),
    buffer: z
      .strictObject({
        total: size({ min: MIB / 2, max: 64 * GIB }).prefault('64MiB'),
        subbuffer: subbuffer().prefault('auto'),
        per_cpu: size({ min: 64 * KIB, max: GIB }).optional(),
      })
      .prefault({}),
    drain_interval: duration({ min: 2 * MS, max: 1000 * MS }).prefault('50ms'),
    max_window: duration({ min: 1000 * MS, max: 86_400_000 * MS }).prefault('2m'),
    recording_cost: duration({ min: 1, max: MS }).prefault('150ns'),
    budget: budgetSchema().prefault({}),
    probes: z
      .strictObject(
        Object.fromEntries(
          sections.map((section) => [section.name, section.schema(schemaKit).prefault({} as never)]),
        ),
      )
      .prefault({}),
    metrics: metricsSchema(
      sections.flatMap(({ metrics }) => metrics?.map(({ name }) => name) ?? []),
    ).prefault([]),
    web: z
      .strictObject({
        listen_address: text(
          /^(\[[0-9A-Fa-f:.]+\]|[\w.-]*):\d{1,5}$/,
          'must be host:port, as in :10743, 127.0.0.1:10743 or [::1]:10743',
        )
          .refine((address) => !(Number(/\d+$/.exec(address)?.[0]) > 65_535), 'has a port above 65535')
          .default(':10743'),
        telemetry_path: text(
          /^(\/[\w.~-]+)+$/,
          'must be a path of letters, digits and . _ ~ -, as in /metrics',
        )
          .refine(
            (path) => !/\/\.{1,2}(\/|$)/.test(path),
            'must not have . or .. as a segment, because clients resolve these',
          )
          .refine(
            (path) => !isTakenPath(path),
            'is used by the agent itself: choose another path, such as /metrics',
          )
          .default('/metrics'),
        config_file: text(/^[^\0]+$/, 'must be a file, as in /etc/ftrace-exporter/web.yaml').optional(),
        max_requests: count(0, 10_000).prefault(40),
      })
      .prefault({}),
    history: z
      .strictObject({
        enabled: yesOrNo().prefault(true),
        fine: duration({ min: 10_000 * MS, max: 3_600_000 * MS }).prefault('5m'),
        coarse: duration({ min: 60_000 * MS, max: 86_400_000 * MS }).prefault('1h'),
      })
      .prefault({}),
    containers: containersSchema().prefault({}),
    otlp: otlpSchema().prefault({}),
    spans: spansSchema().prefault({}),
    log: z
      .strictObject({
        level: z.enum(LOG_LEVELS).default('info'),
        format: z.enum(['logfmt', 'json']).default('logfmt'),
      })
      .prefault({}),
    tracefs: text(
      /^[^\0]+$/,
      'must be the directory where tracefs is mounted, as in /sys/kernel/tracing',
    ).optional(),
    state_dir: text(/^\/[^\0]*$/, 'must be the absolute path of a directory').default('/run/ftrace-exporter'),
  });
}

export type ConfigSchema = ReturnType<typeof composeSchema>;

/** Sets `enabled`. A probe with a section is on unless the section disables it. Other probes have their defaults. */
export function switchProbes(
  probes: unknown,
  sections: readonly ProbeSection[],
  isRecorded: boolean,
): Readonly<Record<string, unknown>> | unknown {
  if (probes !== undefined && !isMap(probes)) return probes;
  const switched: [string, unknown][] = sections.map(({ name, byDefault, inRecordings }) => {
    const section = probes !== undefined && Object.hasOwn(probes, name) ? probes[name] : undefined;
    if (section === undefined) return [name, { enabled: byDefault }];
    const decided = isRecorded ? inRecordings : {};
    return [name, isMap(section) ? { enabled: true, ...decided, ...section } : section];
  });
  return { ...probes, ...Object.fromEntries(switched) };
}

export function toAgentConfig(
  checked: z.output<ConfigSchema>,
  sections: readonly ProbeSection[],
): AgentConfig {
  const { buffer, web, log, history } = checked;
  const spans = toSpansConfig(checked.spans);
  const otlp = toOtlpConfig(checked.otlp, spans !== undefined);
  const probes = [
    ...sections.map(({ name }) => ({ name, options: checked.probes[name] })),
    ...checked.metrics.map(({ name, options }) => ({
      name: `${METRICS_PREFIX}${name}`,
      options: { ...options, metric: grouped(options.metric, checked.instance) },
    })),
  ];
  const enabled = probes.filter(({ options }) => options.enabled);
  const containers = toContainersConfig(checked.containers, enabled);
  return {
    instance: checked.instance,
    reader: checked.reader,
    buffer: {
      totalBytes: buffer.total,
      subbufferBytes: buffer.subbuffer,
      perCpuBytes: buffer.per_cpu,
    },
    drainIntervalMs: checked.drain_interval / MS,
    maxWindowMs: checked.max_window / MS,
    recordingNs: checked.recording_cost,
    budget: toBudgetConfig(checked.budget),
    probes: enabled.map(({ name, options }) => ({ name, options: { ...options } })),
    disabled: probes.flatMap(({ name, options }) => (options.enabled ? [] : [name])),
    tracefsPath: checked.tracefs,
    stateDir: checked.state_dir,
    web: {
      listenAddress: web.listen_address,
      telemetryPath: web.telemetry_path,
      configFile: web.config_file,
      maxRequests: web.max_requests,
    },
    history: history.enabled ? { fineMs: history.fine / MS, coarseMs: history.coarse / MS } : undefined,
    otlp,
    spans,
    containers,
    log,
  };
}

/** Returns the JSON Schema (draft 2020-12) of the config file, for editors and other tools. */
export function jsonSchemaOf(schema: ConfigSchema): z.core.JSONSchema.JSONSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // Allow null. In YAML, a key without a value (`irq:`) is null, and means the defaults.
      if (jsonSchema.type === 'object') (jsonSchema as { type: unknown }).type = ['object', 'null'];
    },
  });
}
