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
import { FIXTURES } from '../../support/tls.ts';

const text = readFileSync(new URL('../../../docs/web-config.md', import.meta.url), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'ftx-web-docs-'));
after(() => rmSync(directory, { recursive: true }));

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

/** Keys that hold values, with their defaults; headers are one key. */
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
  for (const [key, fallback] of leaves(schema, [])) {
    const inline = /^tls_server_config\.(cert|key|client_ca)$/.exec(key)?.[1];
    if (inline !== undefined) {
      assert.match(
        rows.find((line) => line.startsWith(`| \`${key}_file\``)) ?? '',
        new RegExp(`as \`${inline}\``),
      );
      continue;
    }
    const row = rows.find((line) => line.startsWith(`| \`${key}\` |`));
    assert.ok(row, `no row for ${key}`);
    const shown = row.split('|')[2].trim().replaceAll('`', '');
    const said = typeof fallback === 'object' || fallback === undefined ? '' : String(fallback);
    if (said !== '') assert.equal(shown, said, key);
  }
  const headers = schema.properties?.http_server_config.properties?.headers.properties ?? {};
  for (const name of [...Object.keys(headers), ...Object.keys(CURVES)])
    assert.ok(text.includes(`\`${name}\``), name);
  for (const version of [TLS_VERSIONS[0], ...TLS_VERSIONS.slice(-2)])
    assert.ok(text.includes(`\`${version}\``));
});

test('every reason to turn clients away is named', () => {
  for (const reason of REFUSAL_REASONS) assert.ok(text.includes(`\`${reason}\``), reason);
});

test('the example is a good web config', () => {
  const yaml = /```yaml\n([^`]*)```/.exec(text)?.[1] ?? '';
  const file = join(directory, 'web.yml');
  writeFileSync(file, yaml);
  for (const part of ['crt', 'key'])
    copyFileSync(join(FIXTURES, `server.${part}`), join(directory, `tls.${part}`));
  assert.equal(readWebConfig(file).users.size, 1);
});
