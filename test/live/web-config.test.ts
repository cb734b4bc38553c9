/**
 * Uses Prometheus, curl and openssl as clients of an agent with a web config. promtool, which reads such files with
 * Prometheus' exporter-toolkit, decides which configs are valid.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashSync } from 'bcryptjs';
import { readWebConfig } from '../../src/http/server/web-config.ts';
import { makeBench, needTool } from '../support/agent.ts';
import { startPrometheus } from '../support/prometheus.ts';
import { FIXTURES } from '../support/tls.ts';

const bench = makeBench('web-config');
const DEMO = new URL('../../captures/demo.dat', import.meta.url).pathname;
for (const name of readdirSync(FIXTURES)) copyFileSync(join(FIXTURES, name), join(bench.directory, name));

const HASH = hashSync('secret', 8);
const PAIR = '  cert_file: server.crt\n  key_file: server.key\n';

interface Run {
  status: number | null;
  output: string;
}

function run(program: string, args: readonly string[], input = ''): Run {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    input,
    timeout: 30_000,
    cwd: bench.directory,
  });
  return { status, output: stdout + stderr };
}

/** Starts an agent that serves the metrics of a recording: the HTTP server is the same, but it needs no tracefs. */
async function serve(webConfig: string) {
  const file = join(bench.directory, 'served.yml');
  const write = (yaml: string) => writeFileSync(file, yaml);
  write(webConfig);
  const agent = bench.launch(
    {},
    { command: ['replay', DEMO, '--serve'], flags: ['--web.config.file', file] },
  );
  let url: string | undefined;
  while (url === undefined) {
    url = /serving metrics.*?url=(https?:\/\/[^\s/]+)/.exec(agent.stderr())?.[1];
    assert.equal(agent.child.exitCode, null, agent.stderr());
    await sleep(20);
  }
  return { agent, write, port: Number(new URL(url).port) };
}

test('promtool agrees on what a good web config is', () => {
  needTool('promtool', 'prometheus');
  const tls = (more = '') => `tls_server_config:\n${PAIR}${more}`;
  const ca = '  client_ca_file: ca.crt\n';
  const good = [
    '',
    'tls_server_config: {}\n',
    tls(),
    tls(`${ca}  client_auth_type: RequireAndVerifyClientCert\n`),
    tls(`${ca}  client_auth_type: VerifyClientCertIfGiven\n`),
    tls(`${ca}  client_auth_type: RequireAnyClientCert\n`),
    tls(`${ca}  client_auth_type: RequireClientCert\n`),
    tls('  client_auth_type: RequestClientCert\n'),
    tls('  client_auth_type: ""\n  client_ca_file: ""\n'),
    tls('  min_version: TLS10\n  max_version: TLS11\n'),
    tls('  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA]\n'),
    tls('  curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]\n'),
    tls('  prefer_server_cipher_suites: false\n'),
    `basic_auth_users: { alice: "${HASH}", bob: "${HASH.replace('$2b', '$2y')}" }\n`,
    'http_server_config: { http2: false, headers: { X-Frame-Options: deny, X-Content-Type-Options: nosniff } }\n',
    'http_server_config: { headers: { Strict-Transport-Security: max-age=1, X-XSS-Protection: "1" } }\n',
  ];
  const bad = [
    'tls_server_config: { cert_file: "", key_file: "" }\n'.replace('""', 'server.crt'),
    'tls_server_config: { cert_file: nowhere, key_file: server.key }\n',
    'tls_server_config: { cert_file: server.crt, key_file: server2.key }\n',
    'tls_server_config: { client_auth_type: RequireAnyClientCert }\n',
    tls(ca),
    tls('  client_auth_type: RequireEverything\n'),
    tls('  min_version: TLS1.2\n'),
    tls('  cipher_suites: [TLS_RSA_WITH_NOTHING]\n'),
    tls('  curve_preferences: [P256]\n'),
    tls('  junk: 1\n'),
    'basic_auth_users: { alice: secret }\n',
    'basic_auth_users: { alice: }\n',
    'http_server_config: { headers: { X-Frame-Options: allow } }\n',
    'http_server_config: { headers: { X-Other: a } }\n',
    'junk: 1\n',
  ];
  const file = join(bench.directory, 'judged.yml');
  const ours = () => {
    try {
      readWebConfig(file);
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  for (const [wanted, yamls] of [
    [true, good],
    [false, bad],
  ] as const) {
    for (const yaml of yamls) {
      writeFileSync(file, yaml);
      const { status, output } = run('promtool', ['check', 'web-config', file]);
      assert.equal(status === 0, wanted, `promtool: ${yaml}${output}`);
      const problem = ours();
      assert.equal(problem === '', wanted, `${yaml}${problem}`);
    }
  }
});

test('curl, openssl and Prometheus come in with what is asked of them, and not without', async () => {
  needTool('curl', 'curl');
  needTool('openssl', 'openssl');
  needTool('prometheus', 'prometheus');
  const secured = (hash: string) => `tls_server_config:
${PAIR}  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus.example]
basic_auth_users: { alice: "${hash}" }
`;
  const { agent, write, port } = await serve(secured(HASH));
  const curl = (...args: string[]) => {
    const show = ['-s', '-o', '/dev/null', '-w', '%{http_code} %{http_version}'];
    return run('curl', [...show, '--cacert', 'ca.crt', ...args, `https://localhost:${port}/metrics`]);
  };
  const own = ['--cert', 'client.crt', '--key', 'client.key'];
  const client = ['-cert', 'client.crt', '-key', 'client.key'];
  assert.equal(curl(...own, '-u', 'alice:secret').output, '200 1.1');
  assert.equal(curl(...own, '--http2', '-u', 'alice:secret').output, '200 1.1');
  assert.equal(curl(...own, '-u', 'alice:wrong').output, '401 1.1');
  assert.equal(curl(...own).output, '401 1.1');
  for (const shown of [[], ['--cert', 'stranger.crt', '--key', 'stranger.key']]) {
    const { status, output } = curl(...shown, '-u', 'alice:secret');
    assert.notEqual(status, 0);
    assert.match(output, /^000/);
  }

  const shake = (...args: string[]) =>
    run(
      'openssl',
      ['s_client', '-connect', `localhost:${port}`, '-CAfile', 'ca.crt', '-brief', ...client, ...args],
      'Q\n',
    );
  assert.match(shake('-tls1_2').output, /Protocol version: TLSv1\.2[\s\S]*Verification: OK/);
  assert.match(shake('-tls1_3').output, /Protocol version: TLSv1\.3[\s\S]*Verification: OK/);
  assert.match(shake('-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0').output, /protocol version/);
  assert.match(shake('-tls1_2', '-cipher', 'AES128-SHA').output, /handshake failure/);

  const job = (name: string, password: string) => ({
    job_name: name,
    scheme: 'https',
    tls_config: {
      ca_file: join(FIXTURES, 'ca.crt'),
      cert_file: join(FIXTURES, 'client.crt'),
      key_file: join(FIXTURES, 'client.key'),
      server_name: 'localhost',
    },
    basic_auth: { username: 'alice', password },
    static_configs: [{ targets: [`127.0.0.1:${port}`] }],
  });
  const prometheus = await startPrometheus(bench, 'prometheus', [
    job('now', 'secret'),
    job('later', 'other'),
  ]);
  await prometheus.scraped('now');
  const up = async (name: string) => (await prometheus.query(`up{job="${name}"}`))[0]?.value?.[1];
  const isUp = async (name: string, value: '0' | '1') => {
    for (let tries = 0; (await up(name)) !== value; tries++) {
      assert.ok(tries < 300, `up of ${name} is ${await up(name)}`);
      await sleep(100);
    }
  };
  await isUp('later', '0');
  write(secured(hashSync('other', 8)));
  await prometheus.scraped('later');
  await isUp('now', '0');
  write('tls_server_config: { cert_file: gone }\n');
  await prometheus.scraped('later');
  assert.match(agent.stderr(), /level=error msg="rejected the changed web config; the old one stays in use"/);
  agent.child.kill('SIGTERM');
  assert.equal(await agent.ended, 0, agent.stderr());
});

test('a web config that is wrong from the start ends the program with its place', async () => {
  const file = join(bench.directory, 'wrong.yml');
  writeFileSync(file, 'basic_auth_users:\n  alice: secret\n');
  for (const command of [['run'], ['replay', DEMO, '--serve']]) {
    const agent = bench.launch({}, { command, flags: ['--web.config.file', file] });
    assert.equal(await agent.ended, 2);
    assert.match(
      agent.stderr(),
      /^ftrace-exporter: \S+wrong\.yml:2:10: basic_auth_users\.alice: not a bcrypt hash/,
    );
    assert.doesNotMatch(agent.stderr(), /secret/);
  }
});
