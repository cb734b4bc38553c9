/** Whose pod the resource of a span tells of: that of the traced process where it is known, else the agent's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSpanMaker } from '../../../src/export/otlp-spans.ts';
import { traceOf } from '../../support/otlp-traces.ts';

const OWN = {
  'service.name': 'ftrace-exporter',
  'k8s.node.name': 'node-1',
  'k8s.namespace.name': 'ftrace',
  'k8s.pod.name': 'ftrace-exporter-x7',
  'k8s.pod.uid': 'own',
  'k8s.pod.ip': '10.0.0.1',
  'k8s.container.name': 'ftrace-exporter',
};

test('a span of another pod has nothing of the agent’s but its node', () => {
  const maker = createSpanMaker(OWN, { name: 'test', version: '1' });
  const resourceOf = (resource: Record<string, string>) => {
    const { 'service.name': service, ...rest } = maker.make([traceOf('syscalls', { resource })])[0].resource
      .attributes;
    assert.equal(service, 'ftrace-exporter');
    return Object.fromEntries(Object.entries(rest).filter(([name]) => /^(k8s|container)\./.test(name)));
  };
  const { 'service.name': _, ...own } = OWN;
  assert.deepEqual(resourceOf({}), own);
  assert.deepEqual(resourceOf({ 'container.id': 'c1', 'k8s.pod.uid': 'other' }), {
    'k8s.node.name': 'node-1',
    'container.id': 'c1',
    'k8s.pod.uid': 'other',
  });
  assert.deepEqual(resourceOf({ 'container.id': 'c2' }), { 'k8s.node.name': 'node-1', 'container.id': 'c2' });
});
