/** The resource of a span must name the pod of the traced process or, if that is unknown, no pod. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { endedSpans } from '../../../src/export/otlp/spans.ts';
import { traceOf } from '../../support/otlp-traces.ts';

const OWN = {
  'service.name': 'ftrace-exporter',
  'k8s.node.name': 'node-1',
  'k8s.namespace.name': 'ftrace',
  'k8s.pod.name': 'ftrace-exporter-x7',
  'k8s.pod.uid': 'own',
  'k8s.pod.ip': '10.0.0.1',
  'k8s.container.name': 'ftrace-exporter',
  // Attributes that users and collectors add about the agent's pod.
  'k8s.daemonset.name': 'ftrace-exporter',
  'container.id': 'own',
};

test('a span has nothing of the agent’s pod, only its node, whether or not its own pod is known', () => {
  const agent = resourceFromAttributes(OWN);
  const scope = { name: 'test', version: '1' };
  const resourceOf = (resource: Record<string, string>) => {
    const { 'service.name': service, ...rest } = endedSpans(
      [traceOf('syscalls', { resource })],
      agent,
      scope,
    )[0].resource.attributes;
    assert.equal(service, 'ftrace-exporter');
    return Object.fromEntries(Object.entries(rest).filter(([name]) => /^(k8s|container)\./.test(name)));
  };
  // No container: the task has ended, is not in a container, or containers are not looked up.
  assert.deepEqual(resourceOf({}), { 'k8s.node.name': 'node-1' });
  assert.deepEqual(resourceOf({ 'container.id': 'c1', 'k8s.pod.uid': 'other' }), {
    'k8s.node.name': 'node-1',
    'container.id': 'c1',
    'k8s.pod.uid': 'other',
  });
  assert.deepEqual(resourceOf({ 'container.id': 'c2' }), { 'k8s.node.name': 'node-1', 'container.id': 'c2' });
});
