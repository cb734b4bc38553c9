/** Generated files of the chart, by path. Rules and dashboards are copies, because a chart cannot contain links. */
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { configJsonSchema } from '../../src/agent/main/compose-config.ts';
import { readmeOf } from './readme.ts';
import { type Alert, type Schema, valuesSchema } from './schema.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

function alerts(): Alert[] {
  const { groups } = parse(read('deploy/prometheus/alerts.yaml')) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  };
  return groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr }) => ({ name: alert, hasThreshold: /[<>]=? *[^<>= ]+\s*$/.test(expr) })),
  );
}

export function generatedFiles(): Map<string, string> {
  const values = read('helm/ftrace-exporter/values.yaml');
  const files = new Map<string, string>();
  files.set('README.md', readmeOf(values));
  files.set(
    'values.schema.json',
    `${JSON.stringify(valuesSchema(values, configJsonSchema() as Schema, alerts()), null, 1)}\n`,
  );
  for (const name of ['rules', 'alerts'])
    files.set(`files/${name}.yaml`, read(`deploy/prometheus/${name}.yaml`));
  const dashboards = readdirSync(new URL('grafana/dashboards/', root)).filter((name) =>
    name.endsWith('.json'),
  );
  for (const name of dashboards.sort()) {
    files.set(`files/dashboards/${name}`, read(`grafana/dashboards/${name}`));
  }
  return files;
}
