/**
 * Applies the chart and the plain manifests to a real kube-apiserver. It must accept every manifest with strict
 * checking of fields. Helm installs, upgrades, rolls back and removes a release. Pod Security must report exactly what
 * the pods need beyond "baseline". There is no node here; test/cluster has one.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeBench } from '../support/agent.ts';
import {
  CHART,
  daemonSetOf,
  helm,
  MATRIX,
  type Manifest,
  manifestsOf,
  render,
  type Values,
} from './chart.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { CONTROL_PLANE, HELM, isBuilt } from './go-program.ts';
import { AUTOSCALER, CUSTOM, customResources, OPERATOR } from './openapi.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));

const bench = makeBench('kubernetes');

/** Name of a kind in the paths of the API. */
const PLURALS: Record<string, string> = {
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  ConfigMap: 'configmaps',
  DaemonSet: 'daemonsets',
  Deployment: 'deployments',
  Namespace: 'namespaces',
  NetworkPolicy: 'networkpolicies',
  PodMonitor: 'podmonitors',
  PrometheusRule: 'prometheusrules',
  Service: 'services',
  ServiceAccount: 'serviceaccounts',
  ServiceMonitor: 'servicemonitors',
  VerticalPodAutoscaler: 'verticalpodautoscalers',
};
/** The plain manifests, in the order in which they must be applied. */
const PLAIN = [
  'kubernetes/ftrace-exporter.yaml',
  'kubernetes/monitoring.yaml',
  'otel-collector/kubernetes.yaml',
];
const CLUSTER_WIDE = ['Namespace', 'ClusterRole', 'ClusterRoleBinding'];

function placeOf({ apiVersion, kind, metadata }: Manifest): string {
  const plural = PLURALS[kind];
  assert.ok(plural, `no path for ${kind}`);
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespace = CLUSTER_WIDE.includes(kind) ? '' : `/namespaces/${metadata.namespace ?? 'ftrace'}`;
  return `${group}${namespace}/${plural}`;
}

// Building kube-apiserver compiles some 2,800 packages, so it is optional.
const reason = `NOT RUN: kube-apiserver ${CONTROL_PLANE.version} is not built; npm run control-plane builds it`;
if (!isBuilt(CONTROL_PLANE)) console.log(reason);

describe('Kubernetes', { skip: isBuilt(CONTROL_PLANE) ? false : reason }, () => {
  let api: ControlPlane;

  const dryRun = async (manifests: readonly Manifest[]) => {
    for (const manifest of manifests) {
      const { status, body, warnings } = await api.ask(
        'POST',
        `${placeOf(manifest)}?dryRun=All&fieldValidation=Strict`,
        manifest,
      );
      const what = `${manifest.kind} ${manifest.metadata.name}`;
      assert.equal(status, 201, `${what}: ${body.message}`);
      // A namespace with an enforced level warns about pods that it would not run; another test covers that.
      assert.deepEqual(
        warnings.filter((text) => !text.includes('PodSecurity')),
        [],
        what,
      );
    }
  };

  const namespace = async (name: string, labels: Record<string, string> = {}) => {
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    const { status } = await api.ask('POST', '/api/v1/namespaces', body);
    assert.equal(status, 201);
  };

  /**
   * Message with which Pod Security rejects the DaemonSet's pod in a namespace that enforces `level`; '' if accepted.
   */
  const podSecurity = async (values: Values, level: string): Promise<string> => {
    const { metadata, spec } = daemonSetOf(render(values, level));
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'test' }, spec };
    const path = `/api/v1/namespaces/${level}/pods?dryRun=All&fieldValidation=Strict`;
    const { status, body } = await api.ask('POST', path, pod);
    return status === 201 ? '' : String(body.message);
  };

  before(async () => {
    api = await startControlPlane(join(bench.directory, 'control-plane'));
    console.log(`kube-apiserver ${api.version}, with etcd; helm ${HELM.version}`);
    for (const definition of customResources()) {
      const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      const { status, body } = await api.ask('POST', path, definition);
      assert.equal(status, 201, body.message);
    }
    console.log(`custom resources of ${OPERATOR}: ${CUSTOM.join(', ')}; ${AUTOSCALER}`);
    await served('/apis/monitoring.coreos.com/v1', CUSTOM);
    await served('/apis/autoscaling.k8s.io/v1', ['verticalpodautoscalers']);
    // The first of the plain manifests is their namespace.
    const [first] = manifestsOf(readFileSync(join(DEPLOY, PLAIN[0]), 'utf8'));
    const { status, body, warnings } = await api.ask('POST', '/api/v1/namespaces', first);
    assert.deepEqual([first.kind, status, warnings], ['Namespace', 201, []], body.message);
    // Namespaces in which some sets of values put objects.
    for (const name of ['observability', 'monitoring', 'grafana']) await namespace(name);
    for (const level of ['privileged', 'baseline', 'restricted']) {
      await namespace(level, { 'pod-security.kubernetes.io/enforce': level });
    }
  });
  after(() => api?.stop());

  /** Waits until the resources of a group are available. */
  const served = async (group: string, names: readonly string[]) => {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const { body } = await api.ask('GET', group);
      const resources = (body.resources ?? []) as { name: string }[];
      if (names.every((name) => resources.some((one) => one.name === name))) return;
      assert.ok(Date.now() < deadline, `${group} is not served`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  for (const [name, values] of Object.entries(MATRIX)) {
    it(`takes what the chart renders: ${name}`, async (t) => {
      const manifests = render(values);
      await dryRun(manifests);
      t.diagnostic(manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`).join(' '));
    });
  }

  it('refuses a field that there is not, so that the above means something', async () => {
    const [daemonSet] = render({}).filter(({ kind }) => kind === 'DaemonSet');
    const wrong = { ...daemonSet, spec: { ...daemonSet.spec, tempalte: {} } } as unknown as Manifest;
    await assert.rejects(dryRun([wrong]), /unknown field "spec\.tempalte"/);
  });

  it('takes the plain manifests, and those of the collector', async () => {
    for (const file of PLAIN) {
      const manifests = manifestsOf(readFileSync(join(DEPLOY, file), 'utf8'));
      await dryRun(manifests.filter(({ kind }) => kind !== 'Namespace'));
    }
  });

  it('is installed, upgraded, rolled back and removed', async (t) => {
    const env = { KUBECONFIG: api.kubeconfig };
    const run = (args: readonly string[], values?: Values) => {
      const result = helm([...args, '--namespace', 'ftrace'], values, env);
      assert.equal(result.status, 0, `helm ${args.join(' ')}: ${result.output}`);
      t.diagnostic(`helm ${args.filter((arg) => arg !== CHART).join(' ')}`);
      return result.output;
    };
    const path = '/apis/apps/v1/namespaces/ftrace/daemonsets/fleet-ftrace-exporter';
    const checksum = async () => {
      const { status, body } = await api.ask('GET', path);
      assert.equal(status, 200, body.message);
      return (body as unknown as Manifest).spec?.template.metadata.annotations['checksum/config'];
    };
    const everything = {
      prometheusRule: { enabled: true },
      dashboards: { enabled: true },
      podMonitor: { enabled: true },
    };

    const notes = run(['install', 'fleet', CHART], everything);
    assert.match(notes, /rollout status daemonset\/fleet-ftrace-exporter/);
    const first = await checksum();
    run(['upgrade', 'fleet', CHART], { ...everything, ...MATRIX['profiles beside'] });
    assert.notEqual(await checksum(), first);
    assert.equal((await api.ask('GET', `${path}-realtime`)).status, 200);
    run(['rollback', 'fleet', '1']);
    assert.equal(await checksum(), first);
    assert.equal((await api.ask('GET', `${path}-realtime`)).status, 404);
    run(['uninstall', 'fleet']);
    for (const where of [
      '/apis/apps/v1/daemonsets',
      '/api/v1/configmaps',
      '/api/v1/services',
      '/api/v1/serviceaccounts',
      '/apis/monitoring.coreos.com/v1/podmonitors',
      '/apis/monitoring.coreos.com/v1/prometheusrules',
    ]) {
      const query = '?labelSelector=app.kubernetes.io%2Finstance%3Dfleet';
      const { body } = await api.ask('GET', `${where}${query}`);
      assert.deepEqual(body.items, [], where);
    }
  });

  it('keeps to "baseline" but for tracefs', async (t) => {
    const output = await podSecurity({}, 'baseline');
    t.diagnostic(output);
    assert.match(
      output,
      /violates PodSecurity "baseline:latest": hostPath volumes \(volumes "tracefs", "tracefs-instances"\)$/,
    );
    assert.equal(await podSecurity({}, 'privileged'), '');
  });

  it('exceeds "baseline" in what a config wants of the host, and says so', async (t) => {
    const expected: [string, RegExp][] = [
      ['tracers of the whole machine', /: hostPath volumes \(volumes "tracefs", "journal"\)$/],
      ['blk', /: hostPath volumes \(volumes "tracefs", "journal", "sys-devices"\)$/],
      [
        'containers in spans',
        /: host namespaces \(hostPID=true\), hostPath volumes \(volumes "tracefs", "tracefs-instances"\)$/,
      ],
      [
        'metrics by container',
        /: host namespaces \(hostPID=true\), hostPath volumes \(volumes "tracefs", .*"cgroup", "pod-logs"\)$/,
      ],
    ];
    for (const [name, words] of expected) {
      const output = await podSecurity(MATRIX[name], 'baseline');
      t.diagnostic(`${name}: ${output.replace(/.*violates/, 'violates')}`);
      assert.match(output, words);
    }
    const restricted = await podSecurity({}, 'restricted');
    t.diagnostic(restricted.replace(/.*violates/, 'violates'));
    assert.match(restricted, /runAsUser=0|runAsNonRoot/);
  });
});
