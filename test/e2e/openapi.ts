/**
 * Checks manifests strictly against the published types of Kubernetes and the Prometheus operator: the API's OpenAPI
 * document and custom resource definitions, from their Go modules. Finds unknown fields, wrong types, missing fields,
 * and values outside of enums and patterns; not what a server checks beyond types.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { Manifest } from './chart.ts';

export const KUBERNETES = 'k8s.io/kubernetes@v1.37.2';
export const OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.85.0';
export const AUTOSCALER = 'k8s.io/autoscaler/vertical-pod-autoscaler@v1.8.1';
/** Group of the Prometheus operator. */
export const CUSTOM = ['podmonitors', 'prometheusrules', 'servicemonitors'];

interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  enum?: unknown[];
  pattern?: string;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
}

interface CustomResource {
  spec: {
    group: string;
    names: { kind: string; plural: string };
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

/** Directory of a module, which is downloaded if it is missing. */
export function goModule(module: string): string {
  const output = execFileSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8', cwd: '/' });
  return (JSON.parse(output) as { Dir: string }).Dir;
}

/** Definitions of the operator's resources and of the vertical pod autoscaler's. */
export function customResources(): CustomResource[] {
  const directory = join(goModule(OPERATOR), 'example/prometheus-operator-crd');
  const monitoring = CUSTOM.map((name) =>
    parse(readFileSync(join(directory, `monitoring.coreos.com_${name}.yaml`), 'utf8')),
  );
  const file = join(goModule(AUTOSCALER), 'deploy/vpa-v1-crd-gen.yaml');
  const autoscaling = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS());
  return [...monitoring, ...autoscaling];
}

/** Returns a function that lists what is wrong with a manifest, one finding per line. */
export function openApiChecker(): (manifest: Manifest) => string[] {
  const file = join(goModule(KUBERNETES), 'api/openapi-spec/swagger.json');
  const { definitions } = JSON.parse(readFileSync(file, 'utf8')) as { definitions: Record<string, Schema> };
  const byKind = new Map<string, Schema>();
  for (const schema of Object.values(definitions)) {
    for (const { group, version, kind } of schema['x-kubernetes-group-version-kind'] ?? []) {
      byKind.set(`${group === '' ? '' : `${group}/`}${version} ${kind}`, schema);
    }
  }
  for (const { spec } of customResources()) {
    for (const { name, schema } of spec.versions)
      byKind.set(`${spec.group}/${name} ${spec.names.kind}`, schema.openAPIV3Schema);
  }

  const check = (value: unknown, reference: Schema, path: string): string[] => {
    const schema =
      reference.$ref === undefined ? reference : definitions[reference.$ref.replace('#/definitions/', '')];
    const isEither = schema['x-kubernetes-int-or-string'] === true || schema.format === 'int-or-string';
    if (isEither) return typeof value === 'number' || typeof value === 'string' ? [] : [`${path}: neither`];
    const kind = Array.isArray(value) ? 'array' : typeof value;
    const wanted = schema.type ?? (schema.properties === undefined ? undefined : 'object');
    if (wanted === undefined) return [];
    const isOfType = wanted === 'integer' ? Number.isInteger(value) : wanted === kind && value !== null;
    if (!isOfType) return [`${path}: ${JSON.stringify(value)} is no ${wanted}`];
    if (Array.isArray(value)) {
      return value.flatMap((one, i) => check(one, schema.items ?? {}, `${path}[${i}]`));
    }
    if (typeof value === 'string') {
      if (schema.enum?.includes(value) === false) return [`${path}: ${value} is none of ${schema.enum}`];
      const isMatch = schema.pattern === undefined || new RegExp(schema.pattern).test(value);
      return isMatch ? [] : [`${path}: ${value} does not match ${schema.pattern}`];
    }
    if (kind !== 'object') return [];
    const entries = Object.entries(value as Record<string, unknown>);
    const missing = (schema.required ?? []).filter((key) => !entries.some(([has]) => has === key));
    return [
      ...missing.map((key) => `${path}: ${key} is missing`),
      ...entries.flatMap(([key, inner]) => {
        const { properties, additionalProperties: more } = schema;
        const next = properties?.[key] ?? (typeof more === 'object' ? more : undefined);
        if (next !== undefined) return check(inner, next, `${path}.${key}`);
        const isOpen = properties === undefined || schema['x-kubernetes-preserve-unknown-fields'] === true;
        return isOpen || more === true ? [] : [`${path}: unknown field ${key}`];
      }),
    ];
  };

  return (manifest) => {
    const schema = byKind.get(`${manifest.apiVersion} ${manifest.kind}`);
    const name = `${manifest.kind} ${manifest.metadata.name}`;
    return schema === undefined ? [`${name}: no such kind`] : check(manifest, schema, name);
  };
}
