/** docs/web-config.md must name every key, default, policy and reason, and its example must be a good web config. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { REFUSAL_REASONS } from '../../../src/http/server/refusals.ts';
import { CURVES, TLS_VERSIONS } from '../../../src/http/server/tls-names.ts';
import { readWebConfig } from '../../../src/http/server/web-config.ts';
import { webConfigSchema } from '../../../src/http/server/web-config-schema.ts';
import { assertNoAdvice } from '../../support/advice.ts';
import { FIXTURES } from '../../support/tls.ts';

const FILE = 'docs/web-config.md';
const text = readFileSync(new URL(`../../../${FILE}`, import.meta.url), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'ftx-web-docs-'));
after(() => rmSync(directory, { recursive: true }));

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

/** Keys that have values, with their defaults. All headers count as one key. */
function leaves(schema: Schema, path: string[]): [key: string, fallback: unknown][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) =>
    inner.properties === undefined || name === 'headers'
      ? [[[...path, name].join('.'), inner.default] as [string, unknown]]
      : leaves(inner, [...path, name]),
  );
}

test('every key is named, with its default', () => {
  const schema = z.toJSONSchema(webConfigSchema, { io: 'input' }) as Schema;
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  const advice = leaves(schema, []).flatMap(([key, fallback]) => {
    const inline = /^tls_server_config\.(cert|key|client_ca)$/.exec(key)?.[1];
    const row = rows.find((line) => line.startsWith(`| \`${inline === undefined ? key : `${key}_file`}\` |`));
    if (inline !== undefined)
      return row?.includes(`as \`${inline}\``)
        ? []
        : [`${FILE}: the row of ${key}_file must name \`${inline}\``];
    const value = typeof fallback === 'object' || fallback === undefined ? '' : String(fallback);
    if (row === undefined) return [`${FILE}: add a row | \`${key}\` | ${value} | … |`];
    const isRight = value === '' || row.split('|')[2].trim().replaceAll('`', '') === value;
    return isRight ? [] : [`${FILE}: the default of \`${key}\` is ${value}`];
  });
  const headers = schema.properties?.http_server_config.properties?.headers.properties ?? {};
  const names = [
    ...Object.keys(headers),
    ...Object.keys(CURVES),
    ...[TLS_VERSIONS[0], ...TLS_VERSIONS.slice(-2)],
    ...REFUSAL_REASONS,
  ];
  const missing = names.filter((name) => !text.includes(`\`${name}\``));
  assertNoAdvice([...advice, ...missing.map((name) => `${FILE}: name \`${name}\``)]);
});

test('the example is a good web config', () => {
  const yaml = /```yaml\n([^`]*)```/.exec(text)?.[1] ?? '';
  const file = join(directory, 'web.yml');
  writeFileSync(file, yaml);
  for (const part of ['crt', 'key'])
    copyFileSync(join(FIXTURES, `server.${part}`), join(directory, `tls.${part}`));
  assert.equal(readWebConfig(file).users.size, 1);
});
