/**
 * Checks all that the chart renders, the plain manifests and the collector's, against the published types of Kubernetes
 * and the Prometheus operator. Checks the pods with kube-apiserver's own code for Pod Security. What a server does with
 * them is tested in kubernetes.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { daemonSetOf, MATRIX, type Manifest, manifestsOf, render, type Values } from './chart.ts';
import { goProgram, HELM, POD_SECURITY } from './go-program.ts';
import { KUBERNETES, OPERATOR, openApiChecker } from './openapi.ts';
import { plainManifests } from './plain-manifests.ts';

const PLAIN = fileURLToPath(new URL('../../deploy/kubernetes/', import.meta.url));
const COLLECTOR = fileURLToPath(new URL('../../deploy/otel-collector/', import.meta.url));

/** What Pod Security reports about the pods of the main DaemonSet; '' for nothing. */
function podSecurity(values: Values, level: string): string {
  const { metadata, spec } = daemonSetOf(render(values));
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
  return execFileSync(goProgram(POD_SECURITY), [level], { input, encoding: 'utf8' }).trim();
}

describe('the manifests', () => {
  let problemsOf: (manifest: Manifest) => string[];

  before(() => {
    problemsOf = openApiChecker();
    console.log(`types of ${KUBERNETES} and ${OPERATOR}, rendered by helm ${HELM.version}`);
    console.log(`Pod Security by k8s.io/pod-security-admission@${POD_SECURITY.version}`);
  });

  for (const [name, values] of Object.entries(MATRIX)) {
    it(`are of the right types: ${name}`, (t) => {
      const manifests = render(values);
      assert.deepEqual(manifests.flatMap(problemsOf), []);
      t.diagnostic(manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`).join(' '));
    });
  }

  it('would be refused otherwise', () => {
    const manifests = render({ podMonitor: { enabled: true } });
    const text = JSON.stringify(manifests)
      .replace('"hostPID":false', '"hostPid":false')
      .replace('"containerPort":10743', '"containerPort":"10743"')
      .replace('"targetLabel":"instance"', '"targetLable":"instance"');
    const problems = (JSON.parse(text) as Manifest[]).flatMap(problemsOf).join('\n');
    assert.match(problems, /unknown field hostPid\n/);
    assert.match(problems, /containerPort: "10743" is no integer/);
    assert.match(problems, /unknown field targetLable/);
    assert.equal(problems.split('\n').length, 3);
  });

  it('without Helm are what the chart renders', (t) => {
    const made = plainManifests();
    assert.deepEqual(readdirSync(PLAIN).sort(), [...made.keys()].sort());
    for (const [file, text] of made) {
      const there = readFileSync(join(PLAIN, file), 'utf8');
      assert.ok(there === text, `deploy/kubernetes/${file} is not what the chart renders: npm run manifests`);
      assert.deepEqual(manifestsOf(text).flatMap(problemsOf), []);
      t.diagnostic(`deploy/kubernetes/${file}: ${manifestsOf(text).length} manifests`);
    }
  });

  it('of the collector hold the config that is shown', () => {
    const manifests = manifestsOf(readFileSync(join(COLLECTOR, 'kubernetes.yaml'), 'utf8'));
    const config = manifests.find(({ kind }) => kind === 'ConfigMap')?.data?.['config.yaml'];
    assert.equal(config, readFileSync(join(COLLECTOR, 'config.yaml'), 'utf8'));
    assert.deepEqual(manifests.flatMap(problemsOf), []);
  });

  it('keep to the level "baseline" of Pod Security but for tracefs', (t) => {
    const expected: [string, string][] = [
      ['default', 'hostPath volumes (volumes "tracefs", "tracefs-instances")'],
      [
        'service monitor, rules, dashboards, policy',
        'hostPath volumes (volumes "tracefs", "tracefs-instances")',
      ],
      ['everything more', 'hostPath volumes (volumes "tracefs", "tracefs-instances")'],
      ['tracers of the whole machine', 'hostPath volumes (volumes "tracefs", "journal")'],
      ['blk', 'hostPath volumes (volumes "tracefs", "journal", "sys-devices")'],
      [
        'containers in spans',
        'host namespaces (hostPID=true), hostPath volumes (volumes "tracefs", "tracefs-instances")',
      ],
      [
        'metrics by container',
        'host namespaces (hostPID=true), hostPath volumes (volumes "tracefs", "tracefs-instances", "cgroup", "pod-logs")',
      ],
    ];
    for (const [name, words] of expected) {
      assert.equal(podSecurity(MATRIX[name], 'baseline'), words, name);
      t.diagnostic(`${name}: ${words}`);
    }
    assert.equal(podSecurity({}, 'privileged'), '');
    const restricted = podSecurity({}, 'restricted');
    t.diagnostic(`restricted: ${restricted}`);
    assert.match(restricted, /^restricted volume types .*, runAsNonRoot != true .*, runAsUser=0 .*$/);
    assert.match(
      podSecurity({ securityContext: { privileged: true } }, 'baseline'),
      /^hostPath.*, privileged/,
    );
  });
});
