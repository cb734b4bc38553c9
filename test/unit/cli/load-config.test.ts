import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig, loadConfigInThread } from '../../../src/cli/load-config.ts';
import { UsageError } from '../../../src/model/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-load-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'config.yaml');

const SOURCES = {
  file,
  env: { FTRACE_EXPORTER_LOG_LEVEL: 'debug' },
  flags: { instance: 'mine' },
  probes: [{ name: 'irq', on: false }],
};

test('a thread loads the same config as the caller would', async () => {
  writeFileSync(file, 'probes: { sched: { from: waking }, block: { devices: ["nvme*"] } }');
  const config = await loadConfigInThread(SOURCES);
  assert.deepEqual(config, await loadConfig(SOURCES));
  assert.deepEqual([config.instance, config.log.level], ['mine', 'debug']);
});

test('a thread names the same problems', async () => {
  writeFileSync(file, 'probess: {}\nbuffr: {}');
  const problemsOf = (loading: Promise<unknown>) =>
    loading.then(
      () => assert.fail('this config is invalid'),
      (error) => {
        assert.ok(error instanceof UsageError);
        return error.message;
      },
    );
  const inThread = await problemsOf(loadConfigInThread(SOURCES));
  assert.match(inThread, /config\.yaml:1:1: probess: unknown key.*\n.*config\.yaml:2:1: buffr/);
  assert.equal(inThread, await problemsOf(loadConfig(SOURCES)));
});

/** Prints the names of the packages that a module loads. */
const PACKAGES = `
  const names = new Set();
  process.getBuiltinModule('module').registerHooks({
    load(url, context, next) {
      names.add(/node_modules\\/([^/]+)/.exec(url)?.[1]);
      return next(url, context);
    },
  });
  for (const module of process.argv.slice(1)) await import(module);
  console.log(JSON.stringify([...names].filter(Boolean)));`;

test('the agent loads the libraries for schemas and YAML only if it needs them', () => {
  const packagesOf = (...modules: string[]): string[] => {
    const urls = modules.map((name) => new URL(`../../../src/${name}.ts`, import.meta.url).href);
    const args = ['--input-type=module', '-e', PACKAGES, ...urls];
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  };
  assert.ok(packagesOf('cli/config-thread').includes('zod'));
  const packages = packagesOf('cli/main', 'cli/run');
  assert.ok(packages.includes('express'), packages.join());
  assert.deepEqual(
    packages.filter((name) => name === 'zod' || name === 'yaml'),
    [],
  );
});
