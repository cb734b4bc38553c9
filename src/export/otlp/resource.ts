/**
 * Who pushes, as attributes of OpenTelemetry's semantic conventions (opentelemetry.io/docs/specs/semconv/resource). Of
 * Kubernetes only what the environment tells.
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
  /** Name of the tracing instance: tells two agents of a machine apart. */
  instance: string;
  hostName: string;
  /** Undefined where the machine has none to tell. */
  hostId: string | undefined;
  kernelRelease: string;
  kernelVersion: string;
  env: NodeJS.ProcessEnv;
  /** What the user says, over everything else. */
  said: Readonly<Record<string, string>>;
}

/** Attributes whose variables are their names in capitals; the downward API sets them. */
const FROM_ENVIRONMENT = [
  'k8s.cluster.name',
  'k8s.node.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.pod.uid',
  'k8s.pod.ip',
  'k8s.container.name',
] as const;

/** The namespace of our ids (RFC 9562, 5.5), a UUID made once for them. */
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

/** What OpenTelemetry's detectors find, and over it what the agent knows. Throws a `UsageError` for an unknown detector. */
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
      `OTEL_NODE_RESOURCE_DETECTORS: no detector ${JSON.stringify(name)}; there are ${choice}`,
    );
  });
}

export function resourceAttributes(facts: ResourceFacts): Record<string, string> {
  const { version, instance, hostId, kernelRelease, kernelVersion, env, said } = facts;
  const kubernetes: Record<string, string> = {};
  for (const name of FROM_ENVIRONMENT) {
    const value = env[name.replaceAll('.', '_').toUpperCase()];
    if (value !== undefined && value !== '') kubernetes[name] = value;
  }
  // A pod's own name is not the host's.
  const hostName = kubernetes['k8s.node.name'] ?? facts.hostName;
  return {
    'service.name': 'ftrace-exporter',
    'service.version': version,
    // The same after a restart, so that series go on; images can share a machine id, so the name is in it.
    'service.instance.id': uuid([hostId ?? '', hostName, instance].join('\0')),
    'host.name': hostName,
    ...(hostId === undefined ? {} : { 'host.id': hostId }),
    'os.type': 'linux',
    'os.name': 'Linux',
    'os.version': kernelRelease,
    'os.description': `Linux ${kernelRelease} ${kernelVersion}`,
    ...kubernetes,
    ...said,
  };
}

/** UUID of version 5: the same for the same name. */
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
