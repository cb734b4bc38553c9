import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { type AgentConfig, loadAgentConfig } from '../../../src/agent/main/compose-config.ts';
import { makeReloader } from '../../../src/cli/reload.ts';
import { createRenderer } from '../../../src/export/exposition/text.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import { quiet } from '../../support/http-deps.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-reload-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'config.yaml');
const write = (text: string) => writeFileSync(file, text);

function setUp(apply?: (next: AgentConfig) => Promise<void>) {
  write('{}');
  const load = () => loadAgentConfig({ file, env: {} });
  const store = new MetricStore({ countsSeries: false });
  const applied: AgentConfig[] = [];
  const reloader = makeReloader(load(), {
    ...{ source: { file, loadedFrom: '{}', load: async () => load() }, store, log: quiet },
    apply: apply ?? (async (next) => void applied.push(next)),
  });
  const value = (name: string) => {
    const text = createRenderer().render([store.snapshot()], 'text').toString();
    return Number(new RegExp(`^ftrace_exporter_config_last_reload_${name} (.*)$`, 'm').exec(text)?.[1]);
  };
  return { reloader, applied, value };
}

test('a changed config is applied; a wrong one is refused with its place, and the next one is compared with the old one', async () => {
  const { reloader, applied, value } = setUp();
  const begun = value('success_timestamp_seconds');
  assert.equal(value('successful'), 1);
  write('probes: { irq: { enabled: false } }');
  assert.equal(await reloader.reload('test'), '');
  assert.ok(!applied[0].probes.some(({ name }) => name === 'irq'));
  const changed = value('success_timestamp_seconds');
  assert.ok(changed >= begun);

  write('\nbuffr: {}');
  assert.match(await reloader.reload('test'), /config\.yaml:2:1: buffr: unknown key/);
  assert.deepEqual([value('successful'), value('success_timestamp_seconds')], [0, changed]);
  write('buffer: { total: 1MiB }');
  assert.equal(await reloader.reload('test'), 'these keys need a restart: buffer');
  write('probes: { irq: { enabled: false } }');
  assert.equal(await reloader.reload('test'), '');
  assert.equal(value('successful'), 1);
  assert.equal(applied.length, 2);
});

test('a config that cannot be applied is refused', async () => {
  const { reloader, value } = setUp(() => Promise.reject(new Error('the kernel says no')));
  assert.equal(await reloader.reload('test'), 'the kernel says no');
  assert.equal(value('successful'), 0);
});

test('one reload at a time; requests that come meanwhile share the next', async () => {
  let running = 0;
  let most = 0;
  const applied: string[][] = [];
  const { promise, resolve: release } = Promise.withResolvers<void>();
  const { reloader } = setUp(async ({ disabled }) => {
    most = Math.max(most, ++running);
    await promise;
    applied.push(disabled);
    running--;
  });
  const first = reloader.reload('a');
  await setImmediate();
  write('probes: { irq: { enabled: false } }');
  const later = [reloader.reload('b'), reloader.reload('c')];
  release();
  await Promise.all([first, ...later]);
  assert.deepEqual([most, applied.length], [1, 2]);
  assert.ok(!applied[0].includes('irq') && applied[1].includes('irq'));
});

test('a link that points elsewhere is a change; a file that stays the same is none', async () => {
  const { reloader, applied } = setUp();
  const link = (target: string) => {
    symlinkSync(target, `${file}.new`);
    renameSync(`${file}.new`, file);
  };
  writeFileSync(join(directory, 'one'), '{}');
  writeFileSync(join(directory, 'two'), 'log: { level: debug }');
  const stop = reloader.watch(5);
  link('one');
  await sleep(50);
  assert.equal(applied.length, 0);
  link('two');
  while (applied.length === 0) await sleep(5);
  await sleep(50);
  stop();
  assert.deepEqual(
    applied.map(({ log }) => log.level),
    ['debug'],
  );
  rmSync(file);
});

test('a change between the start and the first look is seen, and no change is none', async () => {
  const { reloader, applied } = setUp();
  reloader.watch()();
  write('log: { level: debug }');
  reloader.watch()();
  while (applied.length === 0) await setImmediate();
  assert.deepEqual(
    applied.map(({ log }) => log.level),
    ['debug'],
  );
});

/** Watches the config in a process of its own, because a thread that waits for a pipe cannot be stopped. */
const WATCHER = `
  const [file, ...modules] = process.argv.slice(1);
  const [{ makeReloader }, { loadAgentConfig }, { MetricStore }] = await Promise.all(modules.map((url) => import(url)));
  const print = (fields, message) => console.log(message + ' ' + (fields.reason ?? ''));
  const load = async () => loadAgentConfig({ file, env: {} });
  const store = new MetricStore({ countsSeries: false });
  const log = { debug() {}, info: print, warn: print, error: print };
  makeReloader(await load(), { source: { file, loadedFrom: '{}', load }, store, log, apply: async () => {} }).watch(5);
  setInterval(() => {}, 1000);
  process.on('SIGTERM', () => process.exit(0));`;

test('a config that becomes a pipe, a device or a directory is refused, and the watcher goes on', {
  timeout: 120_000,
}, async () => {
  const watched = join(directory, 'watched.yaml');
  const replaceBy = (target: string) => {
    symlinkSync(target, `${watched}.new`);
    renameSync(`${watched}.new`, watched);
  };
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  writeFileSync(watched, '{}');
  const modules = ['cli/reload', 'agent/main/compose-config', 'metrics/store'].map(
    (name) => new URL(`../../../src/${name}.ts`, import.meta.url).href,
  );
  const args = ['--input-type=module', '-e', WATCHER, watched, ...modules];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async () => {
    const late = sleep(30_000, { value: 'no line for 30 s' }, { ref: false });
    return String((await Promise.race([lines.next(), late])).value);
  };
  try {
    assert.match(await nextLine(), /^watching the config/);
    for (const target of ['fifo', '/dev/zero', directory]) {
      replaceBy(target);
      assert.match(
        await nextLine(),
        /^config not reloaded; .* cannot read .*watched\.yaml: .*not a regular file$/,
      );
      writeFileSync(`${watched}.text`, '{}');
      replaceBy(`${watched}.text`);
      assert.match(await nextLine(), /^config reloaded/);
    }
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  } finally {
    child.kill('SIGKILL');
  }
});
