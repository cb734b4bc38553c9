/** Renders the chart with Helm, and defines the sets of values that tests use. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { goProgram, HELM } from './go-program.ts';

/** Values that operators of other charts use to fit a DaemonSet into their cluster. */
const EVERY_VALUE = new URL('../fixtures/chart/every-value.yaml', import.meta.url);
export const CHART = fileURLToPath(new URL('../../helm/ftrace-exporter', import.meta.url));

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  data?: Record<string, string>;
  spec?: { template: PodTemplate; minReadySeconds?: number };
}

export interface PodTemplate {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: {
    hostPID: boolean;
    hostNetwork: boolean;
    dnsPolicy?: string;
    tolerations?: object[];
    automountServiceAccountToken: boolean;
    initContainers?: Container[];
    containers: [Container, ...Container[]];
    volumes: { name: string; hostPath?: { path: string } }[];
    nodeSelector: Record<string, string>;
  };
}

export interface Container {
  name: string;
  restartPolicy?: string;
  image: string;
  ports: { containerPort: number; hostPort?: number }[];
  terminationMessagePolicy: string;
  args: string[];
  env: { name: string; value?: string }[];
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[];
  startupProbe?: { httpGet?: { path: string }; tcpSocket?: object };
  livenessProbe?: { httpGet?: { path: string; scheme: string; httpHeaders?: object }; tcpSocket?: object };
  readinessProbe?: { httpGet?: { path: string; scheme: string }; tcpSocket?: object };
  resources: { limits: Record<string, string> };
  securityContext: object;
}

export type Values = Readonly<Record<string, unknown>>;

const REALTIME = {
  config: { probes: { timerlat: { cpus: '2-3' } }, buffer: { total: '16MiB' } },
  nodeSelector: { 'node-role/realtime': 'true' },
  resources: { requests: { cpu: '100m', memory: '128Mi' } },
};

/** Each set of values must render to manifests that the API server accepts and that the agent can run with. */
export const MATRIX: Readonly<Record<string, Values>> = {
  default: {},
  'image by digest, pull secrets': {
    image: { registry: 'registry.example:5000', digest: `sha256:${'0'.repeat(64)}` },
    imagePullSecrets: [{ name: 'pull' }],
  },
  'image without a registry': { image: { registry: '', repository: 'mine', tag: 'dev' } },
  'service monitor, rules, dashboards, policy': {
    clusterName: 'north',
    serviceMonitor: { enabled: true, interval: '30s', labels: { release: 'prometheus' } },
    prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
    dashboards: { enabled: true },
    networkPolicy: {
      enabled: true,
      scrapeFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      otlpTo: [{ ipBlock: { cidr: '10.0.0.0/8' } }],
      extraEgress: [{ ports: [{ port: 443, protocol: 'TCP' }] }],
    },
  },
  'pod monitor with TLS and a password': {
    webConfig: { existingSecret: 'web', tls: true },
    service: { enabled: false },
    podMonitor: {
      enabled: true,
      sampleLimit: 5000,
      scrapeClassicHistograms: false,
      tlsConfig: { insecureSkipVerify: true },
      basicAuth: { username: { name: 'scrape', key: 'user' }, password: { name: 'scrape', key: 'password' } },
      relabelings: [{ targetLabel: 'tier', replacement: 'node' }],
      metricRelabelings: [{ sourceLabels: ['__name__'], regex: 'nodejs_.*', action: 'drop' }],
    },
  },
  'config that is reloaded': { watchConfig: true, config: { max_window: '3m' } },
  'TLS only': { webConfig: { existingSecret: 'web', tls: true, auth: false } },
  'OTLP and attributes': {
    clusterName: 'north',
    config: {
      otlp: {
        endpoint: 'http://collector.otel:4318',
        resource_attributes: { 'deployment.environment.name': 'a, b' },
      },
    },
  },
  'tracers of the whole machine': { config: { probes: { osnoise: { cpus: '1' }, irqsoff: {} } } },
  blk: { config: { probes: { blk: { devices: ['nvme*'] } } } },
  'containers in spans': {
    config: { spans: { containers: true, kinds: { syscalls: { threshold: '10ms' } } } },
  },
  'a declared metric by container': {
    config: {
      metrics: [
        { name: 'execs_total', help: 'Execs.', event: 'sched:sched_process_exec', per_container: true },
      ],
    },
  },
  'metrics by container': { config: { probes: { sched: { per_container: true } } } },
  'a tracer that is switched off': {
    config: { probes: { timerlat: { enabled: false } } },
    host: { journal: 'never' },
  },
  'profiles beside': { config: { probes: { syscalls: {} } }, profiles: { realtime: REALTIME } },
  'profiles only': {
    main: { enabled: false },
    profiles: { a: {}, b: { enabled: false }, realtime: REALTIME },
  },
  'profiles that are pools, of the same config': {
    main: { enabled: false },
    config: {
      probes: { syscalls: {}, function_graph: { functions: ['vfs_fsync_range'] } },
      spans: { kinds: { syscalls: { threshold: '10ms' }, function_graph: { threshold: '1ms' } } },
    },
    profiles: { small: { resources: { limits: { memory: '256Mi' } } }, rt: REALTIME },
  },
  'a ConfigMap that is there': {
    existingConfigMap: { name: 'mine', key: 'a.yaml' },
    host: { journal: 'always', pid: 'always' },
  },
  'every value of the cluster': parse(readFileSync(EVERY_VALUE, 'utf8')),
  'a port of the node, one per DaemonSet': {
    hostPort: 10743,
    dnsPolicy: 'Default',
    profiles: { rt: { hostPort: 10744, nodeSelector: { role: 'rt' } } },
  },
  'nodes that profiles share out': {
    hostNetwork: true,
    main: { enabled: false },
    profiles: {
      a: { nodeSelector: { pool: 'a' } },
      b: { nodeSelector: { pool: 'b', 'kubernetes.io/os': null } },
    },
  },
  'service monitor with its limits': {
    service: { clusterIP: '' },
    networkPolicy: { enabled: true, otlpPorts: [4317] },
    serviceMonitor: {
      enabled: true,
      namespace: 'monitoring',
      scrapeTimeout: '20s',
      honorLabels: true,
      scrapeClassicHistograms: true,
      podTargetLabels: ['team'],
      tlsConfig: { insecureSkipVerify: true },
      relabelings: [{ targetLabel: 'tier', replacement: 'node' }],
      metricRelabelings: [{ sourceLabels: ['__name__'], regex: 'nodejs_.*', action: 'drop' }],
      sampleLimit: 5000,
      apiVersion: 'monitoring.coreos.com/v1',
      jobLabel: 'app.kubernetes.io/name',
      attachMetadata: { node: true },
      targetLimit: 3000,
      labelLimit: 30,
      labelNameLengthLimit: 100,
      labelValueLengthLimit: 200,
      params: { collect: ['all'] },
      oauth2: {
        clientId: { secret: { name: 'oauth', key: 'id' } },
        clientSecret: { name: 'oauth', key: 'secret' },
        tokenUrl: 'https://login.example/token',
      },
    },
  },
  'service monitor with a password': {
    serviceMonitor: {
      enabled: true,
      basicAuth: { username: { name: 'scrape', key: 'user' }, password: { name: 'scrape', key: 'password' } },
    },
  },
  'service monitor with a token': {
    serviceMonitor: { enabled: true, authorization: { credentials: { name: 'token', key: 'token' } } },
  },
  'pod monitor with oauth2': {
    podMonitor: {
      enabled: true,
      oauth2: {
        clientId: { secret: { name: 'oauth', key: 'id' } },
        clientSecret: { name: 'oauth', key: 'secret' },
        tokenUrl: 'https://login.example/token',
      },
    },
  },
  'everything more': {
    fullnameOverride: 'ftx',
    extraArgs: ['--log.level=debug'],
    extraEnv: [
      { name: 'FTRACE_EXPORTER_LOG_FORMAT', value: 'json' },
      { name: 'OTEL_RESOURCE_ATTRIBUTES', value: 'team=kernel' },
      { name: 'K8S_NODE_NAME', value: 'mine' },
    ],
    revisionHistoryLimit: 2,
    extraContainers: [{ name: 'beside', image: 'example.com/beside:1' }],
    extraInitContainers: [{ name: 'first', image: 'example.com/first:1' }],
    podMonitor: { enabled: true, scrapeClassicHistograms: true, podTargetLabels: ['team'] },
    enabled: true,
    extraEnvFrom: [{ secretRef: { name: 'otlp-headers', optional: true } }],
    extraVolumes: [{ name: 'more', emptyDir: {} }],
    extraVolumeMounts: [{ name: 'more', mountPath: '/more' }],
    extraManifests: [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'more' },
        data: { of: '{{ .Release.Name }}' },
      },
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: more-still\n',
    ],
    priorityClassName: 'system-node-critical',
    podLabels: { team: 'kernel' },
    podAnnotations: { 'example.com/a': 'b' },
    commonLabels: { stage: 'test' },
    serviceAccount: { annotations: { a: 'b' } },
    podSecurityContext: { supplementalGroups: [1000] },
    affinity: { podAntiAffinity: {} },
    updateStrategy: { type: 'OnDelete', rollingUpdate: null },
    startupProbe: null,
    livenessProbe: null,
    readinessProbe: null,
  },
};

export interface Said {
  status: number | null;
  output: string;
}

/** Runs Helm. Passes `values`, if given, with --values. `wrapper` is a command that starts Helm. */
export function helm(
  args: readonly string[],
  values?: Values,
  env: NodeJS.ProcessEnv = {},
  wrapper: readonly string[] = [],
): Said {
  const directory = mkdtempSync(join(tmpdir(), 'ftx-helm-'));
  try {
    const file = join(directory, 'values.json');
    writeFileSync(file, JSON.stringify(values ?? {}));
    const [program, ...flags] = [...wrapper, goProgram(HELM), ...args];
    const { status, stdout, stderr, error } = spawnSync(
      program,
      [...flags, ...(values === undefined ? [] : ['--values', file])],
      { encoding: 'utf8', env: { ...process.env, HELM_CACHE_HOME: directory, ...env }, maxBuffer: 64 << 20 },
    );
    if (error !== undefined) throw error;
    return { status, output: status === 0 ? stdout : `${stdout}${stderr}` };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Renders the chart. Returns the manifests, or throws an `Error` with Helm's output. */
export function render(values: Values, namespace = 'ftrace', flags: readonly string[] = []): Manifest[] {
  const { status, output } = helm(
    [
      ...['template', 'test', CHART, '--namespace', namespace],
      ...['--api-versions', 'monitoring.coreos.com/v1', ...flags],
    ],
    values,
  );
  if (status !== 0) throw new Error(output);
  return manifestsOf(output);
}

export function manifestsOf(text: string): Manifest[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  for (const { errors } of documents) if (errors[0] !== undefined) throw errors[0];
  return documents.map((document) => document.toJS() as Manifest | null).filter((one) => one !== null);
}

/** The DaemonSet of a profile; without a profile, the main one. */
export function daemonSetOf(manifests: readonly Manifest[], component = 'agent'): PodTemplate {
  const manifest = manifests.find(
    ({ kind, metadata }) =>
      kind === 'DaemonSet' && metadata.labels?.['app.kubernetes.io/component'] === component,
  );
  if (manifest?.spec === undefined) throw new Error(`no DaemonSet ${component}`);
  return manifest.spec.template;
}
