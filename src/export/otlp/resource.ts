/**
 * Describes the agent as attributes of OpenTelemetry's semantic conventions
 * (opentelemetry.io/docs/specs/semconv/resource). Facts about Kubernetes come only from the environment.
 */
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
  kernelRelease: string;
  kernelVersion: string;
  env: NodeJS.ProcessEnv;
  /** Attributes set by the user; they override all others. */
  userAttributes: Readonly<Record<string, string>>;
}

/** Attributes read from variables with the same name in capitals, which the downward API can set. */
const FROM_ENVIRONMENT = [
  'k8s.cluster.name',
  'k8s.node.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.pod.uid',
  'k8s.pod.ip',
  'k8s.container.name',
] as const;

/** The namespace of our IDs (RFC 9562, 5.5): a random UUID. */
const NAMESPACE = 'a3c6f6de-4f0b-4d27-9a51-0c2ad0b9d6f4';

/** By their names in `OTEL_NODE_RESOURCE_DETECTORS`. */
const DETECTORS: Readonly<Record<string, ResourceDetector>> = {
  env: envDetector,
  host: hostDetector,
  os: osDetector,
  process: processDetector,
  serviceinstance: serviceInstanceIdDetector,
};
const DEFAULT_DETECTORS = 'env,host,os,serviceinstance';

/** What OpenTelemetry's detectors find, overridden by what the agent knows. Throws a `UsageError` for an unknown detector. */
export function agentResource(facts: ResourceFacts): Resource {
  const detectors = detectorsOf(facts.env.OTEL_NODE_RESOURCE_DETECTORS || DEFAULT_DETECTORS);
  return defaultResource()
    .merge(detectResources({ detectors }))
    .merge(resourceFromAttributes(resourceAttributes(facts)));
}

function detectorsOf(list: string): ResourceDetector[] {
  const names = list.split(',').map((name) => name.trim());
  if (names.includes('none')) return [];
  if (names.includes('all')) return Object.values(DETECTORS);
  return names.map((name) => {
    if (Object.hasOwn(DETECTORS, name)) return DETECTORS[name];
    const choice = ['all', 'none', ...Object.keys(DETECTORS)].join(', ');
    throw new UsageError(
      `OTEL_NODE_RESOURCE_DETECTORS: unknown detector ${JSON.stringify(name)}; choose from ${choice}`,
    );
  });
}

export function resourceAttributes(facts: ResourceFacts): Record<string, string> {
  const { version, instance, hostId, kernelRelease, kernelVersion, env, userAttributes } = facts;
  const kubernetes: Record<string, string> = {};
  for (const name of FROM_ENVIRONMENT) {
    const value = env[name.replaceAll('.', '_').toUpperCase()];
    if (value !== undefined && value !== '') kubernetes[name] = value;
  }
  // In a pod, our own host name is the pod's.
  const hostName = kubernetes['k8s.node.name'] ?? facts.hostName;
  return {
    'service.name': 'ftrace-exporter',
    'service.version': version,
    // Stable across restarts, so that series continue. Includes the host name, because images can share a machine ID.
    'service.instance.id': uuid([hostId ?? '', hostName, instance].join('\0')),
    'host.name': hostName,
    ...(hostId === undefined ? {} : { 'host.id': hostId }),
    'os.type': 'linux',
    'os.name': 'Linux',
    'os.version': kernelRelease,
    'os.description': `Linux ${kernelRelease} ${kernelVersion}`,
    ...kubernetes,
    ...userAttributes,
  };
}

/** UUID of version 5: the same name gives the same UUID. */
function uuid(name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(NAMESPACE.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  hash[6] = (hash[6] & 0x0f) | 0x50;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  const hex = hash.toString('hex', 0, 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
