/**
 * Who pushes, as attributes of OpenTelemetry's semantic conventions (opentelemetry.io/docs/specs/semconv/resource). Of
 * Kubernetes only what the environment tells.
 */
import { createHash } from 'node:crypto';

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
