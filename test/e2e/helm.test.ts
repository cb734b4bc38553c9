/**
 * Tests the chart with the real Helm: lint, the manifests for every set of values, and the messages for values that it
 * refuses.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { BIN, makeBench, TRACEFS } from '../support/agent.ts';
import { CHART, daemonSetOf, helm, MATRIX, type PodTemplate, render, type Values } from './chart.ts';
import { goProgram, HELM } from './go-program.ts';

const bench = makeBench('helm');
const PROMETHEUS_RULES = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

interface Rules {
  groups: {
    name: string;
    rules: {
      alert: string;
      expr: string;
      for?: string;
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
    }[];
  }[];
}

const mounts = ({ spec }: PodTemplate): string[] =>
  spec.volumes.flatMap(({ name, hostPath }) => (hostPath === undefined ? [] : [`${name}=${hostPath.path}`]));

const tracefsMounts = ({ spec }: PodTemplate) =>
  spec.containers[0].volumeMounts.filter(({ name }) => name.startsWith('tracefs'));

const TRACEFS_AND_INSTANCES = [
  'tracefs=/sys/kernel/tracing',
  'tracefs-instances=/sys/kernel/tracing/instances',
];

const undoOf = ({ spec }: PodTemplate) =>
  [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === 'undo');

const configOf = (manifests: ReturnType<typeof render>, profile: string): Record<string, object> =>
  parse(
    manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.endsWith(`-${profile}`))
      ?.data?.['ftrace-exporter.yaml'] ?? '',
  );

/** Replaces paths in the pod by paths on this machine. */
function onThisMachine(args: readonly string[]): string[] {
  return args
    .filter((arg) => arg !== 'run' && !arg.startsWith('--config.file='))
    .map((arg) =>
      arg
        .replace('=/tracing', `=${TRACEFS}`)
        .replace('=/run/ftrace-exporter', `=${bench.directory}`)
        .replace('=:10743', '=127.0.0.1:0'),
    );
}

/** Values, and what Helm prints about them. */
const REFUSALS: readonly [string, Values, RegExp][] = [
  ['an unknown value', { imgae: {} }, /additional properties 'imgae' not allowed/],
  ['a tag that is none', { image: { tag: 'a b' } }, /at '\/image\/tag': 'a b' does not match pattern/],
  [
    'a digest that is none',
    { image: { digest: 'sha256:1' } },
    /at '\/image\/digest'.* does not match pattern/,
  ],
  ['a port out of bounds', { port: 70000 }, /at '\/port': maximum: got 70,?000, want 65,?535/],
  [
    'a word for a switch',
    { serviceMonitor: { enabled: 'yes' } },
    /at '\/serviceMonitor\/enabled': got string, want boolean/,
  ],
  [
    'a need that is none',
    { host: { journal: 'maybe' } },
    /at '\/host\/journal': value must be one of 'auto', 'always', 'never'/,
  ],
  ['a relative path', { host: { tracefs: 'sys' } }, /at '\/host\/tracefs': 'sys' does not match pattern/],
  ['an interval that is none', { podMonitor: { interval: '30' } }, /at '\/podMonitor\/interval'/],
  [
    'an unknown probe',
    { config: { probes: { sceduler: {} } } },
    /at '\/config\/probes': additional properties 'sceduler' not allowed/,
  ],
  [
    'an unknown key of the agent',
    { config: { drian_interval: '20ms' } },
    /at '\/config': additional properties 'drian_interval' not allowed/,
  ],
  ['a duration without its unit', { config: { max_window: 120 } }, /at '\/config\/max_window'/],
  [
    'the same in a profile',
    { profiles: { a: { config: { max_window: 120 } } } },
    /at '\/profiles\/a\/config\/max_window'/,
  ],
  ['a profile whose name is none', { profiles: { A_b: {} } }, /'A_b' does not match pattern/],
  [
    'an unknown key of a profile',
    { profiles: { a: { service: {} } } },
    /at '\/profiles\/a': additional properties 'service' not allowed/,
  ],
  [
    'a tracer without its journal',
    { config: { probes: { timerlat: { cpus: '1' } } }, host: { journal: 'never' } },
    /probe timerlat needs a directory of the host for the journal of what it changes, and host\.journal is `never`/,
  ],
  [
    'the same in a profile',
    { host: { journal: 'never' }, profiles: { rt: { config: { probes: { hwlat: { cpus: '1' } } } } } },
    /probe hwlat needs a directory.* of profile rt/,
  ],
  [
    'blk without its switches',
    { config: { probes: { blk: {} } }, host: { sysDevices: 'never' } },
    /probe blk needs the host's \/sys\/devices, writable, and host\.sysDevices is `never`/,
  ],
  [
    'metrics by container without its mounts',
    { config: { probes: { sched: { per_container: true } } }, host: { containers: 'never' } },
    /per_container of probe sched needs the host's control groups .*, and host\.containers is `never`/,
  ],
  [
    'a declared metric by container without them',
    {
      config: {
        metrics: [
          { name: 'execs_total', help: 'E.', event: 'sched:sched_process_exec', per_container: true },
        ],
      },
      host: { containers: 'never' },
    },
    /per_container of metric execs_total needs the host's control groups/,
  ],
  [
    'a label with the container of a task without them',
    {
      config: {
        metrics: [
          {
            name: 'signals_total',
            help: 'S.',
            event: 'signal:signal_generate',
            labels: { sig: 'sig', to: { field: 'pid', as: 'container' } },
          },
        ],
      },
      host: { containers: 'never' },
    },
    /label to of metric signals_total needs the host's control groups/,
  ],
  [
    'containers without the ids of processes',
    { config: { spans: { containers: true } }, host: { pid: 'never' } },
    /spans\.containers needs the host's process ids \(hostPID\), and host\.pid is `never`/,
  ],
  [
    'an address of its own',
    { config: { web: { listen_address: ':1' } } },
    /config\.web\.listen_address: the chart sets it, use `port`/,
  ],
  [
    'tracefs elsewhere',
    { config: { tracefs: '/t' } },
    /config\.tracefs: the chart sets it, use `host\.tracefs`/,
  ],
  [
    'another path in a profile than the monitors scrape',
    { profiles: { a: { config: { web: { telemetry_path: '/m' } } } } },
    /config\.web\.telemetry_path of profile a: the monitors scrape one path/,
  ],
  [
    'two agents at once on a node',
    { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } },
    /at '\/updateStrategy\/rollingUpdate\/maxSurge': value must be one of 0, '0%', '\(a new pod cannot start beside the old one, which holds the tracing instance\)'/,
  ],
  [
    'the same in a profile',
    { profiles: { a: { updateStrategy: { rollingUpdate: { maxSurge: '10%' } } } } },
    /a new pod cannot start beside the old one/,
  ],
  [
    'a label that pods are selected by',
    { podLabels: { 'app.kubernetes.io/name': 'x' } },
    /invalid propertyName 'app\.kubernetes\.io\/name'/,
  ],
  [
    'two configs',
    { config: { probes: { irq: {} } }, existingConfigMap: { name: 'a' } },
    /both set: remove one of them/,
  ],
  [
    'two monitors',
    { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } },
    /scraped twice, enable only one/,
  ],
  [
    'a monitor without a Service',
    { serviceMonitor: { enabled: true }, service: { enabled: false } },
    /serviceMonitor\.enabled needs service\.enabled/,
  ],
  [
    'two DaemonSets with one port of the same nodes',
    { hostPort: 10743, profiles: { rt: { nodeSelector: { role: 'rt' } } } },
    /main and rt both want port 10743 of the same nodes: give one of them another `hostPort`, or a nodeSelector/,
  ],
  [
    'the same in the network of the node',
    { hostNetwork: true, profiles: { rt: {} } },
    /main and rt both want port 10743 of the same nodes: give one of them another `port`,/,
  ],
  [
    'another port of the node in its own network',
    { hostNetwork: true, hostPort: 9 },
    /hostPort: with hostNetwork the agent's port is a port of the node, set `port: 9`/,
  ],
  [
    'a policy that would not hold',
    { hostNetwork: true, networkPolicy: { enabled: true } },
    /a NetworkPolicy does not apply to pods in the node's network/,
  ],
  ['a DNS policy that is none', { dnsPolicy: 'Mine' }, /at '\/dnsPolicy': value must be one of/],
  [
    'a type of Service that is none',
    { service: { type: 'Mine' } },
    /at '\/service\/type': value must be one of/,
  ],
  [
    'an alert that is none',
    { prometheusRule: { disabled: { FtraceNone: true } } },
    /at '\/prometheusRule\/disabled': additional properties 'FtraceNone' not allowed/,
  ],
  [
    'a threshold where there is none',
    { prometheusRule: { customRules: { FtraceExporterAbsent: { threshold: 1 } } } },
    /at '\/prometheusRule\/customRules\/FtraceExporterAbsent': additional properties 'threshold' not allowed/,
  ],
  [
    'a base of runbooks that is no address',
    { prometheusRule: { runbookBaseUrl: 'runbooks/' } },
    /at '\/prometheusRule\/runbookBaseUrl'/,
  ],
];

describe('the chart', () => {
  before(() => {
    goProgram(HELM);
    console.log(`helm ${HELM.version}`);
  });

  it('passes helm lint --strict', (t) => {
    const { status, output } = helm(['lint', '--strict', CHART]);
    assert.equal(status, 0, output);
    t.diagnostic(output.trim().split('\n').at(-1) ?? '');
  });

  for (const [name, values] of Object.entries(MATRIX)) {
    it(`renders: ${name}`, () => {
      const manifests = render(values);
      const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.equal(new Set(names).size, names.length, `twice: ${names}`);
      for (const { kind, metadata, data } of manifests) {
        if (kind !== 'ConfigMap' || data?.['ftrace-exporter.yaml'] === undefined) continue;
        const file = join(bench.directory, `${metadata.name}.yaml`);
        writeFileSync(file, data['ftrace-exporter.yaml']);
        const checked = spawnSync(process.execPath, [BIN, 'check-config', file], { encoding: 'utf8' });
        assert.equal(checked.status, 0, `${metadata.name}: ${checked.stderr}${data['ftrace-exporter.yaml']}`);
      }
    });
  }

  for (const [name, values, words] of REFUSALS) {
    it(`refuses ${name}`, () => {
      const { status, output } = helm(['template', 'test', CHART], values);
      assert.notEqual(status, 0, 'it was rendered');
      assert.match(output.replaceAll('\n', ' '), words);
    });
  }

  it('is secure by default', () => {
    const manifests = render({});
    const { spec } = daemonSetOf(manifests);
    assert.deepEqual(manifests.map(({ kind }) => kind).sort(), [
      'ConfigMap',
      'DaemonSet',
      'Service',
      'ServiceAccount',
    ]);
    assert.deepEqual(spec.containers[0].securityContext, {
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsUser: 0,
      runAsGroup: 0,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.partialDeepStrictEqual(spec, {
      hostNetwork: false,
      hostPID: false,
      hostIPC: false,
      automountServiceAccountToken: false,
    });
    // Throttling would lose events.
    assert.deepEqual(Object.keys(spec.containers[0].resources.limits), ['memory']);
    assert.deepEqual(mounts(daemonSetOf(manifests)), TRACEFS_AND_INSTANCES);
    assert.deepEqual(tracefsMounts(daemonSetOf(manifests)), [
      { name: 'tracefs', mountPath: '/tracing', readOnly: true },
      { name: 'tracefs-instances', mountPath: '/tracing/instances' },
    ]);
  });

  it('has all of tracefs writable only where the config changes the top level', () => {
    const whole = [{ name: 'tracefs', mountPath: '/tracing' }];
    const countOf = (name: string, component?: string) =>
      tracefsMounts(daemonSetOf(render(MATRIX[name]), component)).length;
    assert.deepEqual(tracefsMounts(daemonSetOf(render(MATRIX.blk))), whole);
    assert.deepEqual(tracefsMounts(daemonSetOf(render(MATRIX['a ConfigMap that is there']))), whole);
    assert.deepEqual([countOf('profiles beside'), countOf('profiles beside', 'realtime')], [2, 1]);
  });

  it('mounts of the host what the config needs, and nothing else', () => {
    const podOf = (name: string, component?: string) => daemonSetOf(render(MATRIX[name]), component);
    const [tracefs] = TRACEFS_AND_INSTANCES;
    const journal = 'journal=/run/ftrace-exporter';
    assert.deepEqual(mounts(podOf('tracers of the whole machine')), [tracefs, journal]);
    assert.deepEqual(mounts(podOf('blk')), [tracefs, journal, 'sys-devices=/sys/devices']);
    assert.deepEqual(mounts(podOf('a tracer that is switched off')), TRACEFS_AND_INSTANCES);
    assert.deepEqual(mounts(podOf('profiles beside')), TRACEFS_AND_INSTANCES);
    assert.deepEqual(mounts(podOf('profiles beside', 'realtime')), [tracefs, journal]);
    assert.equal(podOf('containers in spans').spec.hostPID, true);
    assert.deepEqual(mounts(podOf('containers in spans')), TRACEFS_AND_INSTANCES);
    for (const filter of ['containers', 'exclude_containers']) {
      const kinds = { syscalls: { threshold: '10ms', [filter]: ['b5f2*'] } };
      assert.equal(daemonSetOf(render({ config: { spans: { kinds } } })).spec.hostPID, true, filter);
    }
    const byContainer = podOf('metrics by container');
    assert.equal(byContainer.spec.hostPID, true);
    assert.deepEqual(mounts(byContainer), [
      ...TRACEFS_AND_INSTANCES,
      'cgroup=/sys/fs/cgroup',
      'pod-logs=/var/log/pods',
    ]);
    assert.equal(podOf('a ConfigMap that is there').spec.hostPID, true);
  });

  it('has a container that undoes after a kill where the config changes the whole machine, and only there', () => {
    const agentAndUndo = (values: Values, flags?: string[]) => {
      const template = daemonSetOf(render(values, 'ftrace', flags));
      return { template, agent: template.spec.containers[0], undo: undoOf(template) };
    };
    assert.equal(agentAndUndo({}).undo, undefined);
    assert.equal(agentAndUndo(MATRIX['a tracer that is switched off']).undo, undefined);
    const { agent, undo } = agentAndUndo(MATRIX.blk);
    assert.deepEqual(undo?.args.slice(0, 2), ['cleanup', '--on-signal']);
    assert.deepEqual(undo?.env, agent.env);
    assert.deepEqual(undo?.volumeMounts, agent.volumeMounts);
    assert.deepEqual(undo?.securityContext, agent.securityContext);
    assert.equal(undo?.restartPolicy, 'Always');
    const old = agentAndUndo(MATRIX.blk, ['--kube-version', '1.28.0']);
    assert.equal(old.template.spec.initContainers, undefined);
    assert.deepEqual([old.template.spec.containers[1]?.name, old.undo?.restartPolicy], ['undo', undefined]);
  });

  it('gives a profile its own instance, nodes and probes', () => {
    const manifests = render(MATRIX['profiles beside']);
    const config = manifests.find(({ metadata }) => metadata.name.endsWith('-realtime'))?.data;
    assert.match(config?.['ftrace-exporter.yaml'] ?? '', /instance: ftrace-exporter-realtime/);
    assert.match(config?.['ftrace-exporter.yaml'] ?? '', /sched:\n\s+enabled: false/);
    assert.doesNotMatch(config?.['ftrace-exporter.yaml'] ?? '', /syscalls/);
    const { spec } = daemonSetOf(manifests, 'realtime');
    // Nodes of other systems have no tracefs, whatever their labels.
    assert.deepEqual(spec.nodeSelector, { 'kubernetes.io/os': 'linux', 'node-role/realtime': 'true' });
    const attributes = spec.containers[0].env.find(({ name }) => name === 'OTEL_RESOURCE_ATTRIBUTES');
    assert.equal(attributes?.value, 'service.instance.id=$(K8S_NODE_NAME)/realtime');
  });

  it('measures in a profile that names no probes what the others do, and in one that names some only those', () => {
    const manifests = render(MATRIX['profiles that are pools, of the same config']);
    const small = configOf(manifests, 'small');
    assert.deepEqual(Object.keys(small.probes).sort(), ['function_graph', 'syscalls']);
    assert.deepEqual(Object.keys((small.spans as { kinds: object }).kinds).sort(), [
      'function_graph',
      'syscalls',
    ]);
    const rt = configOf(manifests, 'rt');
    assert.deepEqual(
      Object.entries(rt.probes).flatMap(([name, probe]) => (probe.enabled === false ? [] : [name])),
      ['timerlat'],
    );
    assert.equal(rt.spans, undefined);
  });

  it('gives profiles that share a file an instance each', () => {
    const manifests = render({ existingConfigMap: { name: 'mine' }, profiles: { b: {} } });
    const instance = (component: string) =>
      daemonSetOf(manifests, component).spec.containers[0].env.find(
        ({ name }) => name === 'FTRACE_EXPORTER_INSTANCE',
      )?.value;
    assert.deepEqual([instance('agent'), instance('b')], [undefined, 'ftrace-exporter-b']);
  });

  it('has no variable twice', () => {
    const names = daemonSetOf(render(MATRIX['everything more'])).spec.containers[0].env.map(
      ({ name }) => name,
    );
    assert.equal(new Set(names).size, names.length, names.join(' '));
  });

  it('lets OTLP out by the port of the endpoint', () => {
    const ports = (endpoint: string) =>
      JSON.stringify(
        render({ networkPolicy: { enabled: true }, config: { otlp: { endpoint } } }).find(
          ({ kind }) => kind === 'NetworkPolicy',
        )?.spec,
      ).includes('{"port":443,"protocol":"TCP"}');
    assert.deepEqual(
      ['https://otlp.example.com', 'https://otlp.example.com:443/v1', 'http://c:4318'].map(ports),
      [true, true, false],
    );
  });

  it('gives a profile with a config its own ConfigMap, though the others have a file', () => {
    const template = (component: string) =>
      daemonSetOf(
        render({
          existingConfigMap: { name: 'mine' },
          profiles: { a: { config: { probes: { irq: {} } } }, b: {} },
        }),
        component,
      ).spec.volumes.find(({ name }) => name === 'config');
    assert.match(JSON.stringify(template('a')), /test-ftrace-exporter-a/);
    for (const one of ['agent', 'b']) assert.match(JSON.stringify(template(one)), /"mine"/);
  });

  it('probes as the web config lets it', () => {
    const live = (name: string) => daemonSetOf(render(MATRIX[name])).spec.containers[0].livenessProbe;
    assert.equal(live('default')?.httpGet?.scheme, 'HTTP');
    assert.equal(live('TLS only')?.httpGet?.scheme, 'HTTPS');
    assert.ok(live('pod monitor with TLS and a password')?.tcpSocket);
    assert.equal(live('everything more'), undefined);
    const { startupProbe } = daemonSetOf(render({})).spec.containers[0];
    assert.equal(startupProbe?.httpGet?.path, '/healthz');
    const httpHeaders = [{ name: 'Authorization', value: 'Basic eDp5' }];
    const values = { webConfig: { existingSecret: 'web', tls: true }, livenessProbe: { httpHeaders } };
    assert.deepEqual(daemonSetOf(render(values)).spec.containers[0].livenessProbe?.httpGet, {
      path: '/healthz',
      port: 'metrics',
      scheme: 'HTTPS',
      httpHeaders,
    });
  });

  it('rolls out a new config, by its checksum', () => {
    const sum = (values: Values) => daemonSetOf(render(values)).metadata.annotations['checksum/config'];
    assert.equal(sum({}), sum({ port: 9999 }));
    assert.notEqual(sum({}), sum({ config: { max_window: '3m' } }));
  });

  it('reloads a new config in place of that, if the values say so', () => {
    const pod = (config: object) =>
      daemonSetOf(render({ watchConfig: true, config })).spec.containers[0].args;
    const { metadata } = daemonSetOf(render({ watchConfig: true }));
    assert.equal(metadata.annotations['checksum/config'], undefined);
    assert.ok(pod({ max_window: '3m' })?.includes('--config.watch'));
    assert.deepEqual(pod({ max_window: '3m' }), pod({}));
    assert.ok(!daemonSetOf(render({})).spec.containers[0].args?.includes('--config.watch'));
  });

  it('has the rules as they are shipped', () => {
    const rules = render(MATRIX['service monitor, rules, dashboards, policy']);
    for (const file of ['rules', 'alerts']) {
      const { spec } = rules.find(({ metadata }) => metadata.name.endsWith(`-${file}`)) ?? {};
      assert.deepEqual(spec, parse(readFileSync(join(PROMETHEUS_RULES, `${file}.yaml`), 'utf8')));
    }
    const boards = rules.filter(({ metadata }) => metadata.labels?.grafana_dashboard === '1');
    assert.equal(boards.length, readdirSync(new URL('../../grafana/dashboards/', import.meta.url)).length);
    for (const { data } of boards) for (const text of Object.values(data ?? {})) JSON.parse(text);
  });

  it('has what the values say of single alerts in place of that', () => {
    const manifests = render(MATRIX['every value of the cluster']);
    const groupsOf = (name: string) =>
      (manifests.find(({ metadata }) => metadata.name.endsWith(name))?.spec as unknown as Rules | undefined)
        ?.groups ?? [];
    const alerts = groupsOf('-alerts').flatMap(({ rules }) => rules);
    const shipped = parse(readFileSync(join(PROMETHEUS_RULES, 'alerts.yaml'), 'utf8')) as Rules;
    assert.equal(alerts.length, shipped.groups.flatMap(({ rules }) => rules).length - 1);
    assert.ok(!alerts.some(({ alert }) => alert === 'FtraceHardwareNoise'));
    const named = (name: string) => alerts.find(({ alert }) => alert === name);
    assert.partialDeepStrictEqual(named('FtraceRunQueueLatencyHigh'), {
      for: '30m',
      labels: { severity: 'info', team: 'kernel' },
    });
    assert.match(named('FtraceRunQueueLatencyHigh')?.expr ?? '', /p99_rate5m.* > 0\.02$/);
    assert.match(named('FtraceExporterMemoryHigh')?.expr ?? '', /"\} > 5e\+08$/);
    for (const { annotations } of alerts) {
      assert.match(annotations?.runbook_url ?? '', /^https:\/\/runbooks\.example\/ftrace\/[a-z-]+\.md$/);
      assert.equal(annotations?.dashboard, 'https://grafana.example/d/ftrace-node');
    }
    assert.deepEqual(
      groupsOf('-own').map(({ name }) => name),
      ['mine'],
    );
  });

  it('fits into a cluster as other charts do', () => {
    const manifests = render(MATRIX['every value of the cluster']);
    const elsewhere = { PodMonitor: 'monitoring', PrometheusRule: 'monitoring' };
    for (const { kind, metadata } of manifests.filter(({ metadata: { name } }) => !name.includes('-ftrace-')))
      assert.equal(
        metadata.namespace,
        Object.entries(elsewhere).find(([one]) => one === kind)?.[1] ?? 'observability',
      );
    const main = daemonSetOf(manifests).spec;
    const canary = daemonSetOf(manifests, 'canary').spec;
    assert.partialDeepStrictEqual(main, {
      hostNetwork: true,
      dnsPolicy: 'ClusterFirstWithHostNet',
      dnsConfig: { options: [{ name: 'ndots', value: '2' }] },
      runtimeClassName: 'runc',
      schedulerName: 'mine',
      imagePullSecrets: [{ name: 'pull' }, { name: 'pull-of-all' }, { name: 'pull-more' }],
      tolerations: [{ key: 'dedicated', operator: 'Exists' }],
    });
    assert.partialDeepStrictEqual(main.containers[0], {
      image: `registry.example:5000/ftrace-exporter/ftrace-exporter:1.2.3@sha256:${'0'.repeat(64)}`,
      ports: [{ containerPort: 10743, hostPort: 10743 }],
      lifecycle: { preStop: { sleep: { seconds: 1 } } },
      terminationMessagePolicy: 'File',
      startupProbe: { httpGet: { path: '/healthz' }, periodSeconds: 1, failureThreshold: 30 },
    });
    assert.equal(
      canary.containers[0].image,
      'registry.example:5000/ftrace-exporter/ftrace-exporter:1.3.0-rc.1',
    );
    assert.deepEqual(
      canary.containers[0].ports.map(({ hostPort }) => hostPort),
      [10744],
    );
    const daemonSet = manifests.find(({ kind }) => kind === 'DaemonSet');
    assert.partialDeepStrictEqual(daemonSet, {
      metadata: { annotations: { 'example.com/owner': 'kernel' } },
      spec: { minReadySeconds: 5 },
    });
    const scalers = manifests.filter(({ kind }) => kind === 'VerticalPodAutoscaler');
    assert.deepEqual(
      scalers.map(({ metadata }) => metadata.name),
      ['test-ftx', 'test-ftx-canary'],
    );
  });

  it('scrapes as the values say', () => {
    const monitor = (name: string) => render(MATRIX[name]).find(({ kind }) => kind.endsWith('Monitor'))?.spec;
    assert.partialDeepStrictEqual(monitor('every value of the cluster'), {
      jobLabel: 'app.kubernetes.io/name',
      attachMetadata: { node: true },
      sampleLimit: 5000,
      targetLimit: 3000,
      labelLimit: 30,
      labelNameLengthLimit: 100,
      labelValueLengthLimit: 200,
      podMetricsEndpoints: [
        { params: { collect: ['all'] }, authorization: { credentials: { name: 'token', key: 'token' } } },
      ],
    });
    // If `jobLabel` chooses the job's name, no relabeling may overwrite it.
    assert.doesNotMatch(JSON.stringify(monitor('every value of the cluster')), /"targetLabel":"job"/);
    assert.match(JSON.stringify(monitor('pod monitor with oauth2')), /"targetLabel":"job"/);
    assert.match(JSON.stringify(monitor('pod monitor with oauth2')), /"oauth2":\{"clientId"/);
    assert.match(JSON.stringify(monitor('service monitor with its limits')), /"oauth2":\{"clientId"/);
  });

  it('runs on every node of Linux by default, whatever its taints', () => {
    const { spec } = daemonSetOf(render({}));
    assert.deepEqual(spec.tolerations, [{ operator: 'Exists' }]);
    assert.deepEqual(spec.nodeSelector, { 'kubernetes.io/os': 'linux' });
    const pools = render(MATRIX['nodes that profiles share out']);
    assert.deepEqual(
      ['a', 'b'].map((pool) => daemonSetOf(pools, pool).spec.nodeSelector),
      [{ 'kubernetes.io/os': 'linux', pool: 'a' }, { pool: 'b' }],
    );
  });

  it('starts the agent with arguments that it takes', async (t) => {
    for (const name of ['default', 'profiles beside'] as const) {
      const manifests = render(MATRIX[name]);
      const text = manifests.find(({ kind }) => kind === 'ConfigMap')?.data?.['ftrace-exporter.yaml'] ?? '';
      const { args } = daemonSetOf(manifests).spec.containers[0];
      const agent = await bench.start(parse(text) as Values, { flags: onThisMachine(args) });
      const { series } = await agent.scrape();
      assert.ok(series('ftrace_exporter_probe_up').every(({ value }) => value === 1));
      assert.equal(await agent.stop(), 0);
      t.diagnostic(`${name}: run ${args.slice(1).join(' ')}`);
    }
  });

  it('gives the agent who it is over OTLP', () => {
    const { env } = daemonSetOf(render(MATRIX['OTLP and attributes'])).spec.containers[0];
    const value = env.find(({ name }) => name === 'OTEL_RESOURCE_ATTRIBUTES')?.value;
    assert.equal(value, 'service.instance.id=$(K8S_NODE_NAME),deployment.environment.name=a%2C%20b');
    assert.equal(env.find(({ name }) => name === 'K8S_CLUSTER_NAME')?.value, 'north');
  });
});
