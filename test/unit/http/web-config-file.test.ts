import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../../../src/http/server/listen.ts';
import { openWebConfig } from '../../../src/http/server/web-config-file.ts';
import { UsageError } from '../../../src/model/errors.ts';
import { FIXTURES, pem } from '../../support/tls.ts';

const root = mkdtempSync(join(tmpdir(), 'ftx-web-config-file-'));
after(() => rmSync(root, { recursive: true }));

interface Line {
  level: string;
  message: string;
  reason: unknown;
}

function logOf() {
  const lines: Line[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, message, reason: fields.reason });
  };
  return {
    lines,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    /** Returns and removes the log lines since the last call. */
    take: () => lines.splice(0),
  };
}

let made = 0;
function place(): string {
  const directory = join(root, String(made++));
  mkdirSync(directory);
  return directory;
}

const headers = (value: string) =>
  `http_server_config: { headers: { Strict-Transport-Security: "${value}" } }\n`;

test('a wrong config at the start is an error, with its place', () => {
  const file = join(place(), 'web.yml');
  writeFileSync(file, 'tls_server: {}\n');
  assert.throws(
    () => openWebConfig(file, logOf().log),
    (error) => error instanceof UsageError && /web.yml:1:1: tls_server: unknown key/.test(error.message),
  );
  assert.throws(() => openWebConfig(join(root, 'nowhere'), logOf().log), UsageError);
});

test('a change is used at once; a wrong one is refused once, and the old one stays', () => {
  const { log, take } = logOf();
  const file = join(place(), 'web.yml');
  writeFileSync(file, headers('max-age=1'));
  const web = openWebConfig(file, log, { lookEveryMs: 0 });
  const value = () => web.current().headers[0]?.[1];
  assert.equal(value(), 'max-age=1');
  const first = web.current();
  assert.equal(web.current(), first);
  assert.equal(take().length, 1);

  writeFileSync(file, headers('max-age=2'));
  assert.equal(value(), 'max-age=2');
  assert.deepEqual(
    take().map(({ level, message }) => [level, message]),
    [['info', 'web config reloaded']],
  );

  writeFileSync(file, 'http_server_config: { headers: { X-Frame-Options: x } }\n');
  for (let i = 0; i < 5; i++) assert.equal(value(), 'max-age=2');
  const [refusal, ...more] = take();
  assert.deepEqual(more, []);
  assert.equal(refusal.level, 'error');
  assert.match(String(refusal.reason), /web\.yml:1:51: .*"x" must be deny or sameorigin/);

  rmSync(file);
  assert.equal(value(), 'max-age=2');
  assert.match(String(take()[0].reason), /cannot read .*ENOENT/);

  writeFileSync(file, headers('max-age=2'));
  assert.equal(value(), 'max-age=2');
  assert.equal(take()[0].message, 'web config reloaded');
});

test('a change within the same tick of the clock, of the same length, is seen too', () => {
  const { log } = logOf();
  const file = join(place(), 'web.yml');
  writeFileSync(file, headers('max-age=1'));
  // Before Linux 6.13, the times of files advance only with the scheduler's tick, so a changed file can seem unchanged.
  const same = statSync(file, { bigint: true });
  const web = openWebConfig(file, log, { lookEveryMs: 0, stat: () => same });
  for (let i = 0; i < 20; i++) {
    const value = `max-age=${i % 10}`;
    writeFileSync(file, headers(value));
    assert.equal(web.current().headers[0][1], value);
  }
});

test('files that have been quiet for a while are checked, but not read', () => {
  const { log } = logOf();
  const file = join(place(), 'web.yml');
  const real = () => statSync(file, { bigint: true });
  writeFileSync(file, headers('max-age=1'));
  const quiet = { ...real(), mtimeNs: 1n, ctimeNs: 1n };
  let seen = () => quiet;
  const web = openWebConfig(file, log, { lookEveryMs: 0, stat: () => seen() });
  writeFileSync(file, headers('max-age=2'));
  assert.equal(web.current().headers[0][1], 'max-age=1');
  seen = real;
  assert.equal(web.current().headers[0][1], 'max-age=2');
});

test('checks are no more frequent than they should be', async () => {
  const { log } = logOf();
  const file = join(place(), 'web.yml');
  writeFileSync(file, headers('max-age=1'));
  const [seldom, often] = [3_600_000, 50].map((lookEveryMs) => openWebConfig(file, log, { lookEveryMs }));
  for (const web of [seldom, often]) web.current();
  writeFileSync(file, headers('max-age=2'));
  await sleep(60);
  assert.equal(seldom.current().headers[0][1], 'max-age=1');
  assert.equal(often.current().headers[0][1], 'max-age=2');
});

test('a renewed certificate is used; half of a pair is not', () => {
  const { log, take } = logOf();
  const directory = place();
  const [cert, key, file] = ['tls.crt', 'tls.key', 'web.yml'].map((name) => join(directory, name));
  copyFileSync(join(FIXTURES, 'server.crt'), cert);
  copyFileSync(join(FIXTURES, 'server.key'), key);
  writeFileSync(file, 'tls_server_config: { cert_file: tls.crt, key_file: tls.key }\n');
  const web = openWebConfig(file, log, { lookEveryMs: 0 });
  const inForce = () => web.current().tls?.context.cert;
  assert.equal(inForce(), pem('server.crt'));
  take();
  copyFileSync(join(FIXTURES, 'server2.crt'), cert);
  assert.equal(inForce(), pem('server.crt'));
  assert.match(String(take()[0].reason), /tls_server_config.key_file: is not the key of the certificate/);
  copyFileSync(join(FIXTURES, 'server2.key'), key);
  assert.equal(inForce(), pem('server2.crt'));

  copyFileSync(join(FIXTURES, 'expired.crt'), cert);
  copyFileSync(join(FIXTURES, 'expired.key'), key);
  assert.equal(inForce(), pem('expired.crt'));
  assert.ok(
    take().some(
      ({ level, message }) =>
        level === 'warn' && message === 'the certificate of the web config has expired: renew it',
    ),
  );
});

test('a Secret that Kubernetes renews by changing a link is used', () => {
  const { log } = logOf();
  const directory = place();
  const old = new Date(2020, 0, 1);
  for (const version of ['1', '2']) {
    mkdirSync(join(directory, version));
    const file = join(directory, version, 'web.yml');
    writeFileSync(file, headers(`max-age=${version}`));
    utimesSync(file, old, old);
  }
  symlinkSync('1', join(directory, '..data'));
  symlinkSync('..data/web.yml', join(directory, 'web.yml'));
  const web = openWebConfig(join(directory, 'web.yml'), log, { lookEveryMs: 0 });
  assert.equal(web.current().headers[0][1], 'max-age=1');
  symlinkSync('2', join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  assert.equal(web.current().headers[0][1], 'max-age=2');
});

const HASH = '$2b$04$hZrXm3u7VhWnJmHbUPHqTO6RCv2zSSC5D3Vs0DDqWbFd6tKZ1gWgK';

test('a file that has lost its users or its TLS does not open the port', () => {
  const { log, take } = logOf();
  const directory = place();
  const file = join(directory, 'web.yml');
  copyFileSync(join(FIXTURES, 'server.crt'), join(directory, 'tls.crt'));
  copyFileSync(join(FIXTURES, 'server.key'), join(directory, 'tls.key'));
  const users = `basic_auth_users: { alice: ${HASH} }\n`;
  const tls = 'tls_server_config: { cert_file: tls.crt, key_file: tls.key }\n';
  writeFileSync(file, users + tls);
  const web = openWebConfig(file, log, { lookEveryMs: 0 });
  take();
  const intact = () => {
    const now = web.current();
    return now.users.size === 1 && now.tls !== undefined;
  };
  for (const text of [
    '',
    'null\n',
    '{}\n',
    'basic_auth_users: {}\n',
    `basic_auth_users: {}\n${tls}`,
    users,
    tls,
  ]) {
    writeFileSync(file, text);
    assert.ok(intact(), text);
    const [{ level, reason }] = take();
    assert.equal(level, 'error', text);
    assert.match(String(reason), /no longer has (users|TLS).*: restart the agent if you want this/);
    writeFileSync(file, users + tls);
    assert.ok(intact());
    take();
  }
  // After a restart, the users are those in the file.
  writeFileSync(file, '');
  assert.equal(openWebConfig(file, log).current().users.size, 0);
});

test('while the file is copied over itself, nobody gets in without a password', async () => {
  const { log } = logOf();
  const directory = place();
  const [file, copy] = ['web.yml', 'copy.yml'].map((name) => join(directory, name));
  writeFileSync(copy, `basic_auth_users: { alice: ${HASH} }\n`);
  copyFileSync(copy, file);
  const web = openWebConfig(file, log, { lookEveryMs: 0 });
  const server = await listen((_request, response) => response.end('the metrics'), '127.0.0.1:0', log, {
    web,
  });
  // cp truncates the file before it writes it, as editors and config management do.
  const copying = spawn('sh', ['-c', 'for i in $(seq 400); do cp "$0" "$1"; done', copy, file]);
  const ended = once(copying, 'exit');
  try {
    const answers = new Map<number, number>();
    const ask = async () => {
      while (copying.exitCode === null) {
        const { status, body } = await fetch(server.url);
        await body?.cancel();
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 8 }, ask));
    assert.deepEqual(await ended, [0, null]);
    assert.deepEqual([...answers.keys()], [401], `status and number of answers: ${[...answers]}`);
  } finally {
    copying.kill();
    await server.close();
  }
});

test('a policy for client certificates does not become weaker by itself', () => {
  const { log, take } = logOf();
  const directory = place();
  const file = join(directory, 'web.yml');
  for (const name of ['server.crt', 'server.key']) copyFileSync(join(FIXTURES, name), join(directory, name));
  const policy = (clients: string) =>
    `tls_server_config: { cert_file: server.crt, key_file: server.key, ${clients} }\n`;
  writeFileSync(file, policy('client_ca_file: server.crt, client_auth_type: RequireAndVerifyClientCert'));
  const web = openWebConfig(file, log, { lookEveryMs: 0 });
  take();
  for (const weaker of [
    'client_auth_type: NoClientCert',
    'client_auth_type: RequireAnyClientCert',
    'client_ca_file: server.crt, client_auth_type: VerifyClientCertIfGiven',
  ]) {
    writeFileSync(file, policy(weaker));
    assert.deepEqual([web.current().tls?.clients.require, web.current().tls?.clients.verify], [true, true]);
    assert.equal(take()[0].level, 'error');
  }
});
