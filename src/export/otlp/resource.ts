/** Makes the agent's resource attributes. Those of the machine come from OpenTelemetry's detectors. */
import { createHash } from 'node:crypto';
import {
  defaultResource,
  detectResources,
  envDetector,
  hostDetector,
  osDetector,
  processDetector,
  type Resource,
  type ResourceDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import { UsageError } from '../../model/errors.ts';

export interface ResourceFacts {
  version: string;
  /** Name of the tracing instance; distinguishes agents on the same machine. */
  instance: string;
  hostName: string;
  /** Undefined if the machine has no ID. */
  hostId: string | undefined;
  env: NodeJS.ProcessEnv;
  /** Attributes set by the user; they override all others. */
  userAttributes: Readonly<Record<string, string>>;
}

/** Attributes that we read from environment variables such as K8S_NODE_NAME, which the downward API can set. */
const FROM_ENVIRONMENT =
  'k8s.cluster.name k8s.node.name k8s.namespace.name k8s.pod.name k8s.pod.uid k8s.pod.ip k8s.container.name';

/** A random UUID, which is the namespace of our name-based UUIDs (RFC 9562, 5.5). */
const NAMESPACE = Buffer.from('a3c6f6de4f0b4d279a510c2ad0b9d6f4', 'hex');

/** Detectors by their names in `OTEL_NODE_RESOURCE_DETECTORS`. */
const DETECTORS = new Map<string, ResourceDetector>([
  ['env', envDetector],
  ['host', hostDetector],
  ['os', osDetector],
  ['process', processDetector],
  ['serviceinstance', serviceInstanceIdDetector],
]);

/** Detected attributes do not override the agent's own. Throws a `UsageError` for an unknown detector. */
export function agentResource(facts: ResourceFacts): Resource {
  const detectors = detectorsOf(facts.env.OTEL_NODE_RESOURCE_DETECTORS || 'env,host,os,serviceinstance');
  return defaultResource()
    .merge(detectResources({ detectors }))
    .merge(resourceFromAttributes(resourceAttributes(facts)));
}

function detectorsOf(list: string): ResourceDetector[] {
  const names = list.split(',').map((name) => name.trim());
  if (names.includes('none')) return [];
  if (names.includes('all')) return [...DETECTORS.values()];
  return names.map((name) => {
    const detector = DETECTORS.get(name);
    if (detector !== undefined) return detector;
    const choice = ['all', 'none', ...DETECTORS.keys()].join(', ');
    throw new UsageError(
      `OTEL_NODE_RESOURCE_DETECTORS: unknown detector ${JSON.stringify(name)}; choose from ${choice}`,
    );
  });
}

export function resourceAttributes(facts: ResourceFacts): Record<string, string> {
  const kubernetes: Record<string, string> = {};
  for (const name of FROM_ENVIRONMENT.split(' ')) {
    const value = facts.env[name.replaceAll('.', '_').toUpperCase()];
    if (value) kubernetes[name] = value;
  }
  // In a pod, `facts.hostName` is the name of the pod, not of the node.
  const hostName = kubernetes['k8s.node.name'] ?? facts.hostName;
  return {
    'service.name': 'ftrace-exporter',
    'service.version': facts.version,
    // The ID must not change at a restart. It depends on the host name, because machine IDs can be duplicates.
    'service.instance.id': uuid([facts.hostId ?? '', hostName, facts.instance].join('\0')),
    'host.name': hostName,
    ...kubernetes,
    ...facts.userAttributes,
  };
}

/** Returns a UUID of version 5. The same name always gives the same UUID. */
function uuid(name: string): string {
  const hash = createHash('sha1').update(NAMESPACE).update(name).digest();
  hash[6] = (hash[6] & 0x0f) | 0x50;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
