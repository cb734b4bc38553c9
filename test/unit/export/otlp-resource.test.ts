import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ResourceFacts, resourceAttributes } from '../../../src/export/otlp/resource.ts';
import { machineId } from '../../../src/host/machine-id.ts';

const FACTS: ResourceFacts = {
  version: '1.2.3',
  instance: 'ftrace-exporter',
  hostName: 'node-1',
  hostId: '3d1219c7c4c5404aaa1f6d2a48adfda4',
  env: {},
  userAttributes: {},
};
const attributesOf = (facts: Partial<ResourceFacts>) => resourceAttributes({ ...FACTS, ...facts });
const idOf = (facts: Partial<ResourceFacts>) => attributesOf(facts)['service.instance.id'];

test('a machine', () => {
  assert.deepEqual(attributesOf({}), {
    'service.name': 'ftrace-exporter',
    'service.version': '1.2.3',
    'service.instance.id': idOf({}),
    'host.name': 'node-1',
  });
});

test('the id of the instance is a UUID, the same after a restart, and different for each agent', () => {
  assert.match(idOf({}), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(idOf({}), idOf({ version: '2' }));
  const ids = [
    idOf({}),
    idOf({ instance: 'other' }),
    // Machines that were made from one image can have the same host id.
    idOf({ hostName: 'node-2' }),
    idOf({ hostId: undefined }),
    idOf({ env: { K8S_NODE_NAME: 'node-3' } }),
  ];
  assert.equal(new Set(ids).size, ids.length);
  // If the pod is replaced, its name changes, but the name of the node does not.
  const pod = (hostName: string, uid: string) =>
    idOf({ hostName, env: { K8S_NODE_NAME: 'n', K8S_POD_NAME: hostName, K8S_POD_UID: uid } });
  assert.equal(pod('agent-x', '1'), pod('agent-y', '2'));
});

test('a pod, as far as the environment describes it', () => {
  const attributes = attributesOf({
    hostName: 'agent-x7k2p',
    env: {
      K8S_NODE_NAME: 'worker-3',
      K8S_POD_NAME: 'agent-x7k2p',
      K8S_POD_UID: '0f6b',
      K8S_NAMESPACE_NAME: 'monitoring',
      K8S_POD_IP: '',
      K8S_OTHER: 'x',
    },
  });
  assert.equal(attributes['host.name'], 'worker-3');
  const kubernetes = Object.entries(attributes).filter(([name]) => name.startsWith('k8s.'));
  assert.deepEqual(Object.fromEntries(kubernetes), {
    'k8s.node.name': 'worker-3',
    'k8s.namespace.name': 'monitoring',
    'k8s.pod.name': 'agent-x7k2p',
    'k8s.pod.uid': '0f6b',
  });
});

test("the user's values win", () => {
  const attributes = attributesOf({
    userAttributes: { 'service.name': 'mine', 'service.instance.id': '7', team: 'a' },
  });
  assert.equal(attributes['service.name'], 'mine');
  assert.equal(attributes['service.instance.id'], '7');
  assert.equal(attributes.team, 'a');
});

test('the machine id comes from the first file that has one', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ftx-machine-id-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const id = '0123456789abcdef0123456789abcdef';
  const none = join(directory, 'none');
  const [empty, early] = [file('empty', ''), file('early', 'uninitialized\n')];
  assert.equal(machineId([none, empty, early, file('good', `${id}\n`)]), id);
  assert.equal(machineId([none, empty, early]), undefined);
});
