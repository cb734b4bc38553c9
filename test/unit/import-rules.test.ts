/**
 * `npm run check:imports` must fail if a room imports something that it may not. The test adds violations to a copy of
 * the sources.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEPCRUISE = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

describe('the import rules', () => {
  const copy = mkdtempSync(join(tmpdir(), 'ftx-imports-'));
  after(() => rmSync(copy, { recursive: true }));
  before(() => {
    for (const name of ['src', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs'])
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  });

  /** Runs the check of package.json on the copy. */
  const check = () => {
    const args = ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err-long'];
    const { status, stdout, stderr } = spawnSync(process.execPath, [DEPCRUISE, ...args], {
      cwd: copy,
      encoding: 'utf8',
    });
    return { status: status ?? -1, output: stdout + stderr };
  };

  /** Runs the check with more files, then removes them. */
  const checkWith = (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(copy, 'src', name), text);
    try {
      return check();
    } finally {
      for (const name of Object.keys(files)) rmSync(join(copy, 'src', name));
    }
  };

  it('accept the sources', () => {
    const { status, output } = check();
    assert.equal(status, 0, output);
  });

  const violations: { what: string; rule: RegExp; files: Record<string, string> }[] = [
    {
      what: 'a type that model takes from metrics',
      rule: /error model-imports-only-itself: src\/model\/planted\.ts/,
      files: {
        'model/planted.ts': `import type { MetricStore } from '../metrics/store.ts';\nexport type P = MetricStore;\n`,
      },
    },
    {
      what: 'a probe that touches tracefs',
      rule: /error probes-imports-only-\S+: src\/probes\/planted\.ts/,
      files: { 'probes/planted.ts': `export { readText } from '../tracefs/files.ts';\n` },
    },
    {
      what: 'a library of another room',
      rule: /error metrics-libraries: src\/metrics\/planted\.ts/,
      files: { 'metrics/planted.ts': `import express from 'express';\nexport const app = express();\n` },
    },
    {
      what: 'two files that import each other',
      rule: /error no-cycles: src\/model\/planted/,
      files: {
        'model/planted-a.ts': `import { b } from './planted-b.ts';\nexport const a = (): unknown => b;\n`,
        'model/planted-b.ts': `import { a } from './planted-a.ts';\nexport const b = (): unknown => a;\n`,
      },
    },
    {
      what: 'OpenTelemetry loaded before it is wanted',
      rule: /error otlp-is-loaded-on-demand: src\/cli\/planted\.ts/,
      files: { 'cli/planted.ts': `export { openSdk } from '../export/otlp/sdk.ts';\n` },
    },
    {
      what: 'an arrow upward within the agent',
      rule: /error agent-plan-imports-only-what-it-may: src\/agent\/plan\/planted\.ts/,
      files: { 'agent/plan/planted.ts': `export { runCapture } from '../live/run.ts';\n` },
    },
    {
      what: 'a file of the agent that is in none of its rooms',
      rule: /error agent-has-rooms-and-one-entry: src\/agent\/planted\.ts/,
      files: { 'agent/planted.ts': `export { errnoOf } from '../model/errors.ts';\n` },
    },
    {
      what: 'a web server that knows of tracing',
      rule: /error http-server-knows-no-tracing: src\/http\/server\/planted\.ts/,
      files: { 'http/server/planted.ts': `export type { TraceRecord } from '../../model/span.ts';\n` },
    },
    {
      what: 'a file that is in no room',
      rule: /error no-stray-files: src\/planted\.ts/,
      files: { 'planted.ts': `export { errnoOf } from './model/errors.ts';\n` },
    },
  ];
  for (const { what, rule, files } of violations) {
    it(`refuse ${what}`, () => {
      const { status, output } = checkWith(files);
      assert.notEqual(status, 0, output);
      assert.match(output, rule);
      assert.match(output, /The rule is in \.dependency-cruiser\.cjs; docs\/architecture\.md/);
    });
  }
});
