/**
 * The content of deploy/kubernetes, by file: the rendered chart, for users without Helm. `node
 * test/e2e/plain-manifests.ts` (`npm run manifests`) writes it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { type Manifest, render, type Values } from './chart.ts';

const HEAD = '# Rendered from helm/ftrace-exporter by `npm run manifests`: change it there.\n';
const SETS: Readonly<Record<string, Values>> = {
  'ftrace-exporter.yaml': { fullnameOverride: 'ftrace-exporter' },
  'monitoring.yaml': {
    fullnameOverride: 'ftrace-exporter',
    podMonitor: { enabled: true },
    prometheusRule: { enabled: true },
  },
};
const NAMESPACE = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'ftrace', labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
};

/** Removes what only Helm needs. */
function plain(manifest: Manifest): Manifest {
  const { labels } = manifest.metadata;
  for (const one of [labels, manifest.spec?.template?.metadata.labels]) {
    if (one === undefined) continue;
    delete one['helm.sh/chart'];
    delete one['app.kubernetes.io/managed-by'];
  }
  return JSON.parse(
    JSON.stringify(manifest).replaceAll(
      '"app.kubernetes.io/instance":"test"',
      '"app.kubernetes.io/instance":"ftrace-exporter"',
    ),
  ) as Manifest;
}

export function plainManifests(): Map<string, string> {
  const files = new Map<string, string>();
  const seen = new Set<string>();
  for (const [file, values] of Object.entries(SETS)) {
    const manifests = render(values).filter(({ kind, metadata }) => {
      const name = `${kind} ${metadata.name}`;
      const isNew = !seen.has(name);
      seen.add(name);
      return isNew;
    });
    const all = seen.has('Namespace') ? manifests : [NAMESPACE as Manifest, ...manifests];
    seen.add('Namespace');
    const texts = all.map((manifest) => stringify(plain(manifest), { lineWidth: 0 }));
    files.set(file, `${HEAD}${texts.join('---\n')}`);
  }
  return files;
}

if (import.meta.main) {
  const directory = fileURLToPath(new URL('../../deploy/kubernetes/', import.meta.url));
  mkdirSync(directory, { recursive: true });
  for (const [file, text] of plainManifests()) writeFileSync(`${directory}${file}`, text);
}
