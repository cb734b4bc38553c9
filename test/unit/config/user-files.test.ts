import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs, { appendFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseYaml, readYamlFile } from '../../../src/config/yaml-file.ts';
import { openTlsFiles } from '../../../src/export/otlp/tls.ts';
import { readTls } from '../../../src/http/server/tls-settings.ts';
import { webConfigSchema } from '../../../src/http/server/web-config-schema.ts';
import { UsageError } from '../../../src/model/errors.ts';
import { MAX_USER_FILE_BYTES, readUserFile } from '../../../src/model/user-file.ts';

const root = mkdtempSync(join(tmpdir(), 'ftx-user-files-'));
after(() => rmSync(root, { recursive: true }));

const fifo = join(root, 'fifo');
execFileSync('mkfifo', [fifo]);
mkdirSync(join(root, 'directory'));
writeFileSync(join(root, 'large'), 'x'.repeat(MAX_USER_FILE_BYTES + 1));
const WRONG: [file: string, message: RegExp][] = [
  [fifo, /not a regular file/],
  ['/dev/zero', /not a regular file/],
  ['/dev/tty', /not a regular file|ENXIO/],
  [join(root, 'directory'), /not a regular file/],
  [join(root, 'large'), /longer than 1048576 bytes/],
  [join(root, 'nowhere'), /ENOENT/],
];

// If the code read a FIFO, it would block this thread, so that not even the test's timeout could end the test.
test('configs, certificates and keys are regular files of a bounded size', () => {
  for (const [file, message] of WRONG) {
    assert.throws(() => readUserFile(file), message, file);
    assert.throws(
      () => readYamlFile(file),
      (error) => error instanceof UsageError && message.test(error.message) && error.message.includes(file),
    );
    const { tls_server_config: section } = webConfigSchema.parse({
      tls_server_config: { cert_file: file, key_file: file },
    });
    const wrong: string[] = [];
    assert.equal(
      readTls(
        section as never,
        join(root, 'web.yml'),
        () => {},
        (_, reason) => void wrong.push(reason),
      ),
      undefined,
    );
    for (const reason of wrong) assert.match(reason, message);
    assert.equal(wrong.length, 2);
    const target = { url: 'https://localhost', certificateFile: file };
    assert.throws(
      () => openTlsFiles(target as never, { debug() {}, info() {}, warn() {}, error() {} }),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  }
  writeFileSync(join(root, 'good'), 'a: 1\n');
  assert.deepEqual(readYamlFile(join(root, 'good')).value, { a: 1 });
});

test('a file that changes while it is being read is read again; one that keeps changing is refused', (t) => {
  const file = join(root, 'changing');
  const { readSync } = fs;
  let change: (() => void) | undefined;
  t.mock.method(fs, 'readSync', (...args: Parameters<typeof readSync>) => {
    const bytes = readSync(...args);
    if (bytes === 0) change?.();
    return bytes;
  });
  syncBuiltinESMExports();
  /** Sets the time of the last change, because some file systems advance it only every few milliseconds. */
  const at = (seconds: number) => utimesSync(file, seconds, seconds);
  const changes: Record<string, () => void> = {
    'is truncated': () => writeFileSync(file, ''),
    'is written after it was truncated': () => writeFileSync(file, 'new\n'),
    grows: () => appendFileSync(file, '# more\n'),
    'is overwritten by a text of the same length': () => writeFileSync(file, 'new\n'),
  };
  try {
    for (const [what, apply] of Object.entries(changes)) {
      writeFileSync(file, what.startsWith('is written') ? '' : 'old\n');
      at(1);
      change = () => {
        change = undefined;
        apply();
        at(what.endsWith('same length') ? 2 : 1);
      };
      const content = readUserFile(file).toString();
      assert.equal(content, fs.readFileSync(file, 'utf8'), `a file that ${what}`);
    }
    change = changes.grows;
    assert.throws(() => readUserFile(file), /the file keeps changing while it is being read/);
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
});

test('a recording that was replaced by a pipe is refused without waiting for a writer', () => {
  for (const [file, open] of [
    ['tracedat/read', 'openCapture'],
    ['tracetext/text-file', 'openTextTrace'],
  ]) {
    const url = new URL(`../../../src/${file}.ts`, import.meta.url).href;
    const script = `import { ${open} } from '${url}';
      try { ${open}('${fifo}'); } catch (error) { console.log(error.message); }`;
    // A process of its own, because a test that waits for a writer could not be ended.
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.match(stdout, new RegExp(fifo), `${open}: ${stderr}`);
  }
});

/** Time of the fastest of three runs, because other programs use the machine too. */
function fastestMs(text: string): number {
  const times = [1, 2, 3].map(() => {
    const startMs = performance.now();
    parseYaml('x', text);
    return performance.now() - startMs;
  });
  return Math.min(...times);
}

test('the time to parse grows with the number of keys, not with its square', () => {
  const keys = (count: number) => Array.from({ length: count }, (_, i) => `key_${i}: 1\n`).join('');
  fastestMs(keys(500));
  const [few, many] = [fastestMs(keys(2000)), fastestMs(keys(16_000))];
  assert.ok(many < few * 24, `8 times the keys took ${many} ms instead of ${few} ms`);
});

test('a key twice is refused with its place, at any depth', () => {
  for (const [text, place] of [
    ['a: 1\nb: 2\na: 3\n', 'x:3:1'],
    ['m:\n  - { a: 1, "a": 2 }\n', 'x:2:13'],
    ['1: a\n1: b\n', 'x:2:1'],
  ])
    assert.throws(() => parseYaml('x', text), new RegExp(`^UsageError: ${place}: Map keys must be unique$`));
});
