/**
 * Makes values.schema.json: types come from the defaults in values.yaml, further limits are here. Keys that are not in
 * values.yaml are refused. The agent's own schema checks `config`, so helm reports a typo in it before the rollout.
 */
import { parseDocument } from 'yaml';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Schema = { [key: string]: Json };

const NAME = { type: 'string', pattern: '^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$', maxLength: 253 };
const DURATION = { type: 'string', pattern: '^(([0-9]+(ms|[smhdwy]))+)?$' };
const PORT = { type: 'integer', minimum: 1, maximum: 65535 };
const PATH = { type: 'string', pattern: '^/[^:]*$' };
const NEED = { enum: ['auto', 'always', 'never'] };
/** Labels of pods, except those by which the chart selects its pods. */
const LABELS = {
  type: 'object',
  propertyNames: { not: { pattern: '^app\\.kubernetes\\.io/(name|instance|component)$' } },
  additionalProperties: { type: ['string', 'null'] },
};
/** Settings of a pod's probe: numbers, and headers to send, such as a password for the web config. */
const PROBE = {
  type: 'object',
  properties: {
    httpHeaders: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'value'],
        properties: { name: { type: 'string' }, value: { type: 'string' } },
        additionalProperties: false,
      },
    },
  },
  additionalProperties: { type: 'integer' },
};
const STRINGS = { type: 'object', additionalProperties: { type: ['string', 'null'] } };
const OBJECTS = { type: 'array', items: { type: 'object' } };
const ANY = { type: 'object' };
const RESOURCES = {
  type: 'object',
  properties: { requests: ANY, limits: ANY, claims: OBJECTS },
  additionalProperties: false,
};
const NO_SURGE = '(a new pod cannot start beside the old one, which holds the tracing instance)';

const COUNT = { type: 'integer', minimum: 0 };
const SECRETS = {
  type: 'array',
  items: { type: 'object', required: ['name'], properties: { name: NAME }, additionalProperties: false },
};
const TRAFFIC = { enum: ['', 'Cluster', 'Local'] };

/** Limits that the defaults do not show. Paths are those of values.yaml. */
const LIMITS: Record<string, Schema> = {
  'image.repository': { type: 'string', pattern: '^[a-z0-9]+([._/-]+[a-z0-9]+)*$' },
  'image.tag': { type: 'string', pattern: '^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$' },
  'image.digest': { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
  'image.pullPolicy': { enum: ['Always', 'IfNotPresent', 'Never'] },
  // Parent charts put further keys here.
  global: {
    type: 'object',
    properties: {
      imageRegistry: { type: 'string' },
      imagePullSecrets: { type: 'array', items: { anyOf: [SECRETS.items, NAME] } },
    },
  },
  imagePullSecrets: SECRETS,
  namespaceOverride: NAME,
  config: { $ref: '#/$defs/agent' },
  'existingConfigMap.name': NAME,
  'webConfig.existingSecret': NAME,
  port: PORT,
  hostPort: { type: 'integer', minimum: 0, maximum: 65535 },
  dnsPolicy: { enum: ['', 'ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'] },
  dnsConfig: ANY,
  extraArgs: { type: 'array', items: { type: 'string' } },
  extraManifests: { type: 'array', items: { type: ['object', 'string'] } },
  'host.tracefs': PATH,
  'host.journal': NEED,
  'host.journalPath': PATH,
  'host.sysDevices': NEED,
  'host.pid': NEED,
  'host.containers': NEED,
  'host.cgroup': PATH,
  'host.podLogs': PATH,
  securityContext: ANY,
  podSecurityContext: ANY,
  resources: RESOURCES,
  nodeSelector: STRINGS,
  affinity: ANY,
  'undo.resources': RESOURCES,
  updateStrategy: {
    type: 'object',
    properties: {
      type: { enum: ['RollingUpdate', 'OnDelete'] },
      rollingUpdate: {
        type: ['object', 'null'],
        properties: {
          maxUnavailable: { type: ['integer', 'string'] },
          // Helm's message lists only the allowed values, so the reason is one of them.
          maxSurge: { enum: [0, '0%', NO_SURGE] },
        },
        additionalProperties: false,
      },
    },
    additionalProperties: false,
  },
  revisionHistoryLimit: COUNT,
  minReadySeconds: COUNT,
  terminationGracePeriodSeconds: COUNT,
  lifecycle: {
    type: 'object',
    properties: { postStart: ANY, preStop: ANY, stopSignal: { type: 'string' } },
    additionalProperties: false,
  },
  terminationMessagePolicy: { enum: ['File', 'FallbackToLogsOnError'] },
  daemonsetAnnotations: STRINGS,
  podLabels: LABELS,
  podAnnotations: STRINGS,
  commonLabels: LABELS,
  startupProbe: PROBE,
  livenessProbe: PROBE,
  readinessProbe: PROBE,
  'serviceAccount.annotations': STRINGS,
  'service.port': PORT,
  'service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  'service.nodePort': { type: 'integer', minimum: 0, maximum: 65535 },
  'service.externalTrafficPolicy': TRAFFIC,
  'service.internalTrafficPolicy': TRAFFIC,
  'service.labels': STRINGS,
  'service.annotations': STRINGS,
  'prometheusRule.labels': STRINGS,
  'prometheusRule.annotations': STRINGS,
  'prometheusRule.additionalRuleLabels': STRINGS,
  'prometheusRule.additionalRuleAnnotations': STRINGS,
  'prometheusRule.runbookBaseUrl': { type: 'string', pattern: '^(https?://.*[^/])?$' },
  'verticalPodAutoscaler.recommenders': SECRETS,
  'verticalPodAutoscaler.controlledResources': { type: 'array', items: { enum: ['cpu', 'memory'] } },
  'verticalPodAutoscaler.controlledValues': { enum: ['RequestsOnly', 'RequestsAndLimits'] },
  'verticalPodAutoscaler.minAllowed': ANY,
  'verticalPodAutoscaler.maxAllowed': ANY,
  'verticalPodAutoscaler.updatePolicy': ANY,
  'dashboards.labels': STRINGS,
  'dashboards.annotations': STRINGS,
  'networkPolicy.otlpPorts': { type: 'array', items: PORT },
};
for (const monitor of ['serviceMonitor', 'podMonitor']) {
  Object.assign(LIMITS, {
    [`${monitor}.labels`]: STRINGS,
    [`${monitor}.interval`]: DURATION,
    [`${monitor}.scrapeTimeout`]: DURATION,
    [`${monitor}.sampleLimit`]: COUNT,
    [`${monitor}.targetLimit`]: COUNT,
    [`${monitor}.labelLimit`]: COUNT,
    [`${monitor}.labelNameLengthLimit`]: COUNT,
    [`${monitor}.labelValueLengthLimit`]: COUNT,
    [`${monitor}.attachMetadata`]: {
      type: 'object',
      properties: { node: { type: 'boolean' } },
      additionalProperties: false,
    },
    [`${monitor}.params`]: {
      type: 'object',
      additionalProperties: { type: 'array', items: { type: 'string' } },
    },
    [`${monitor}.authorization`]: ANY,
    [`${monitor}.oauth2`]: ANY,
    [`${monitor}.tlsConfig`]: ANY,
    [`${monitor}.basicAuth`]: ANY,
    [`${monitor}.podTargetLabels`]: { type: 'array', items: { type: 'string' } },
  });
}

const PROFILE_KEYS = [
  'image',
  'port',
  'hostPort',
  'existingConfigMap',
  'host',
  'nodeSelector',
  'affinity',
  'tolerations',
  'priorityClassName',
  'resources',
  'extraArgs',
  'extraEnv',
  'podLabels',
  'podAnnotations',
  'updateStrategy',
];

type Schemas = Readonly<Record<string, Schema>>;

function ofDefault(value: Json, path: string, schemas: Schemas): Schema {
  const limits = schemas[path];
  if (limits !== undefined) return limits;
  if (Array.isArray(value)) return OBJECTS;
  if (value === null || typeof value !== 'object') {
    return { type: typeof value === 'number' ? 'integer' : (typeof value as 'string' | 'boolean') };
  }
  const entries = Object.entries(value);
  return {
    type: 'object',
    properties: Object.fromEntries(
      entries.map(([key, inner]) => [key, ofDefault(inner, path === '' ? key : `${path}.${key}`, schemas)]),
    ),
    additionalProperties: false,
  };
}

export interface Alert {
  name: string;
  /** Whether the alert's expression ends in a comparison with a number. A value of the chart can replace the number. */
  hasThreshold: boolean;
}

/** Values of single alerts: only existing alerts, and a threshold only if the alert has one. */
function alertSchemas(alerts: readonly Alert[]): Record<string, Schema> {
  const named = (schemaOf: (alert: Alert) => Schema): Schema => ({
    type: 'object',
    properties: Object.fromEntries(alerts.map((alert) => [alert.name, schemaOf(alert)])),
    additionalProperties: false,
  });
  const how = {
    for: { type: 'string', pattern: '^([0-9]+(ms|[smhdwy]))+$' },
    severity: { type: 'string', minLength: 1 },
  };
  return {
    'prometheusRule.disabled': named(() => ({ type: 'boolean' })),
    'prometheusRule.customRules': named(({ hasThreshold }) => ({
      type: 'object',
      properties: hasThreshold ? { threshold: { type: 'number' }, ...how } : how,
      additionalProperties: false,
    })),
  };
}

/** Removes patterns with `(?!` and the like, which Go, and therefore Helm, does not support. The agent checks them. */
function withoutLookarounds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutLookarounds);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(
    ([key, value]) => !(key === 'pattern' && typeof value === 'string' && /\(\?<?[=!]/.test(value)),
  );
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutLookarounds(value)]));
}

/** Schema of the chart's values; `agent` is what `check-config --print-schema` prints. */
export function valuesSchema(valuesYaml: string, agent: Schema, alerts: readonly Alert[]): Schema {
  const values = parseDocument(valuesYaml).toJS() as Record<string, Json>;
  const { properties, ...rest } = ofDefault(values, '', { ...LIMITS, ...alertSchemas(alerts) }) as {
    properties: Record<string, Schema>;
  } & Schema;
  const { $schema, ...config } = withoutLookarounds(agent) as Schema;
  const profile = {
    type: 'object',
    properties: {
      enabled: { type: 'boolean' },
      config: { $ref: '#/$defs/agent' },
      ...Object.fromEntries(PROFILE_KEYS.map((key) => [key, properties[key]])),
    },
    additionalProperties: false,
  };
  return {
    $schema,
    ...rest,
    properties: {
      ...properties,
      profiles: {
        type: 'object',
        // The name becomes part of the names of the DaemonSet and of the tracing instance.
        propertyNames: { pattern: '^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$', not: { const: 'agent' } },
        additionalProperties: { $ref: '#/$defs/profile' },
      },
      // Parent charts set these, and can use one of them in their `condition`.
      enabled: { type: 'boolean' },
      tags: ANY,
    },
    $defs: { agent: config, profile },
  };
}
