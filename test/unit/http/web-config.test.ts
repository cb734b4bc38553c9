import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readWebConfig } from '../../../src/http/server/web-config.ts';
import { UsageError } from '../../../src/model/errors.ts';
import { FIXTURES } from '../../support/tls.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-web-config-'));
after(() => rmSync(directory, { recursive: true }));
mkdirSync(join(directory, 'tls'));
for (const name of [
  'ca.crt',
  'server.crt',
  'server.key',
  'server2.key',
  'encrypted.key',
  'weak.crt',
  'weak.key',
]) {
  copyFileSync(join(FIXTURES, name), join(directory, 'tls', name));
}
writeFileSync(join(directory, 'tls', 'empty'), '');
writeFileSync(
  join(directory, 'tls', 'broken.crt'),
  '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
);

const HASH = '$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi';
const PAIR = '  cert_file: tls/server.crt\n  key_file: tls/server.key\n';

function read(yaml: string) {
  const file = join(directory, 'web.yml');
  writeFileSync(file, yaml);
  return readWebConfig(file);
}

/** The errors, without the directory. */
function problems(yaml: string): string[] {
  try {
    read(yaml);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message.replaceAll(`${directory}/`, '').split('\n');
  }
  return [];
}

const inline = (key: string, name: string) =>
  `  ${key}: |\n${readFileSync(join(FIXTURES, name), 'utf8').replace(/^(?=.)/gm, '    ')}`;

test('an empty config is plain HTTP for everybody', () => {
  const open = { tls: undefined, headers: [], users: new Map(), rate: undefined };
  for (const yaml of [
    '',
    '# nothing\n',
    'tls_server_config: {}\n',
    'tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n',
    'basic_auth_users: {}\nrate_limit: { interval: 0 }\n',
    'http_server_config: { http2: true, headers: { Content-Security-Policy: "" } }\n',
  ]) {
    assert.deepEqual(read(yaml), open, yaml);
  }
});

test('a config with every key', () => {
  const { tls, headers, users, rate } = read(`
tls_server_config:
${PAIR}  client_ca_file: tls/ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus.example, "2001:DB8::0007"]
  min_version: TLS12
  max_version: TLS12
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519, CurveP384]
http_server_config:
  http2: false
  headers:
    X-Frame-Options: sameorigin
    Strict-Transport-Security: max-age=1
basic_auth_users: { alice: ${HASH}, "bo b": ${HASH.replace('$2y', '$2a')} }
rate_limit: { interval: 1m30.5s, burst: 20 }
`);
  const { cert, key, ca, ...context } = tls?.context ?? {};
  assert.deepEqual(context, {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers:
      'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384',
    honorCipherOrder: false,
    ecdhCurve: 'X25519:secp384r1',
  });
  assert.deepEqual(
    [cert, key, ca],
    ['server.crt', 'server.key', 'ca.crt'].map((name) => readFileSync(join(FIXTURES, name), 'utf8')),
  );
  assert.deepEqual(tls?.clients, {
    ask: true,
    require: true,
    verify: true,
    names: new Set(['prometheus.example', '2001:db8::7']),
  });
  assert.equal(new Date(tls?.validUntilMs ?? 0).getUTCFullYear(), 2120);
  assert.deepEqual(headers, [
    ['X-Frame-Options', 'sameorigin'],
    ['Strict-Transport-Security', 'max-age=1'],
  ]);
  assert.deepEqual([...users.keys()], ['alice', 'bo b']);
  assert.deepEqual(rate, { intervalNs: 90.5e9, burst: 20 });
});

test('certificates and keys can be written into the config', () => {
  const fromFiles = read(
    `tls_server_config:\n${PAIR}  client_ca_file: tls/ca.crt\n  client_auth_type: RequestClientCert\n`,
  );
  const written = read(
    `tls_server_config:\n${inline('cert', 'server.crt')}${inline('key', 'server.key')}${inline('client_ca', 'ca.crt')}  client_auth_type: RequestClientCert\n`,
  );
  assert.deepEqual(written, fromFiles);
});

test('without a CA nobody is trusted, not everybody whom a public one has signed', () => {
  assert.deepEqual(read(`tls_server_config:\n${PAIR}`).tls?.context.ca, []);
});

test('the policies for clients have the names that Go gives them', () => {
  const policy = (type: string) =>
    read(
      `tls_server_config:\n${PAIR}${type === 'NoClientCert' ? '' : '  client_ca_file: tls/ca.crt\n'}  client_auth_type: ${type}\n`,
    ).tls?.clients;
  const none = { ask: true, require: false, verify: false, names: undefined };
  assert.deepEqual(policy('NoClientCert'), { ...none, ask: false });
  assert.deepEqual(policy('RequestClientCert'), none);
  assert.deepEqual(policy('RequireAnyClientCert'), { ...none, require: true });
  assert.deepEqual(policy('RequireClientCert'), { ...none, require: true });
  assert.deepEqual(policy('VerifyClientCertIfGiven'), { ...none, verify: true });
  assert.deepEqual(policy('RequireAndVerifyClientCert'), { ...none, require: true, verify: true });
});

test('by default only suites with fresh keys and authenticated records; older ones for older TLS', () => {
  const suites = (more: string) => read(`tls_server_config:\n${PAIR}${more}`).tls?.context.ciphers ?? '';
  assert.doesNotMatch(suites(''), /(^|:)AES|-SHA(:|$)|SECLEVEL/);
  assert.match(suites('  min_version: TLS11\n'), /ECDHE-RSA-AES128-SHA:.*@SECLEVEL=0$/);
});

test('each mistake is reported with its place, and what would be right', () => {
  assert.deepEqual(
    problems(`tls_server_config:
  certfile: x
  client_auth_type: RequireAndVerifyClientCerts
  min_version: TLS1.2
  cipher_suites: [TLS_ECDHE_RSA_WITH_RC4_128_SHA]
  curve_preferences: [P256]
http_server_config:
  http2: yes
  headers: { x-frame-options: deny, X-Content-Type-Options: sniff, X-XSS-Protection: "a\\nb" }
rate_limit: { interval: 5, burst: 1.5 }
basic_auth_user: {}
`).map((line) => line.replace(/; the keys here are .*|(?<=is not one of ).*?(?= \(did|$)/, '…')),
    [
      'web.yml:2:3: tls_server_config.certfile: unknown key (did you mean "cert_file"?)…',
      'web.yml:3:21: tls_server_config.client_auth_type: "RequireAndVerifyClientCerts" is not one of … (did you mean "RequireAndVerifyClientCert"?)',
      'web.yml:4:16: tls_server_config.min_version: "TLS1.2" is not one of … (did you mean "TLS12"?)',
      'web.yml:5:19: tls_server_config.cipher_suites[0]: "TLS_ECDHE_RSA_WITH_RC4_128_SHA" is not one of …',
      'web.yml:6:23: tls_server_config.curve_preferences[0]: "P256" is not one of …',
      'web.yml:8:10: http_server_config.http2: "yes" is not true or false',
      'web.yml:9:14: http_server_config.headers.x-frame-options: unknown key (did you mean "X-Frame-Options"?)…',
      'web.yml:9:61: http_server_config.headers.X-Content-Type-Options: "sniff" must be nosniff',
      'web.yml:9:86: http_server_config.headers.X-XSS-Protection: "a\\nb" has a character that is not allowed in headers',
      'web.yml:10:25: rate_limit.interval: 5 must be a duration, as in 1s, or 0 for no limit',
      'web.yml:10:35: rate_limit.burst: 1.5 is not a whole number',
      'web.yml:11:1: basic_auth_user: unknown key (did you mean "basic_auth_users"?)…',
    ],
  );
});

test('a config that would leave the server open, or closed to everybody, is refused', () => {
  const problemsWith = (more: string) => problems(`tls_server_config:\n${PAIR}${more}`);
  const wrong: [yaml: string, ...problems: RegExp[]][] = [
    ['tls_server_config: false\n', /^web.yml:1:20: tls_server_config: false is not a map of keys/],
    [
      'tls_server_config: { cert_file: "", key_file: }\n',
      /cert_file: TLS needs cert_file or cert/,
      /key_file: TLS needs key_file or key/,
    ],
    [
      'tls_server_config: { min_version: TLS13 }\n',
      /cert_file: TLS needs cert_file or cert/,
      /key_file: TLS needs key_file or key/,
    ],
    ['tls_server_config: { client_auth_type: NoClientCert }\n', /cert_file/, /key_file/],
    ['basic_auth_users:\n  alice:\n', /^web.yml:2:3: basic_auth_users.alice: not a bcrypt hash/],
    ['basic_auth_users:\n  __proto__: x\n', /basic_auth_users.__proto__: not a bcrypt hash/],
    [`basic_auth_users:\n  "a:b": ${HASH}\n`, /^web.yml:2:10: basic_auth_users.a:b: not a valid user name/],
    [`basic_auth_users: { "": ${HASH} }\n`, /not a valid user name/],
    [
      `basic_auth_users: { a: "${HASH.replace('$10', '$17')}" }\n`,
      /the bcrypt cost is 17, but it must be from 4 to 16/,
    ],
    [`basic_auth_users: { a: "${HASH}x" }\n`, /not a bcrypt hash/],
    ['basic_auth_users: [a]\n', /expected a map/],
    [
      'rate_limit: { interval: 1s, burst: 0 }\n',
      /^web.yml:1:36: rate_limit.burst: 0 must be at least 1: with 0, the server would refuse/,
    ],
    ['rate_limit: { interval: -1s }\n', /interval: "-1s" must be a duration/],
    ['- a\n', /^web.yml:1:1: a web config must be a map of keys/],
    ['basic_auth_users: {}\nbasic_auth_users: {}\n', /^web.yml:2:1: Map keys must be unique/],
  ];
  for (const [yaml, ...expected] of wrong) {
    const messages = problems(yaml);
    assert.equal(messages.length, expected.length, `${yaml}${messages.join('\n')}`);
    for (const [i, pattern] of expected.entries()) assert.match(messages[i], pattern);
  }
  assert.match(
    problemsWith('  client_ca_file: tls/ca.crt\n')[0],
    /^web.yml:4:19: .*client_ca_file: no effect while client_auth_type is NoClientCert/,
  );
  assert.match(
    problemsWith('  client_auth_type: VerifyClientCertIfGiven\n')[0],
    /needs client_ca_file or client_ca/,
  );
  assert.match(
    problemsWith('  client_auth_type: RequireAndVerifyClientCert\n')[0],
    /needs client_ca_file or client_ca/,
  );
  const ca = '  client_ca_file: tls/ca.crt\n';
  for (const type of ['VerifyClientCertIfGiven', 'RequestClientCert']) {
    assert.match(
      problemsWith(`${ca}  client_auth_type: ${type}\n  client_allowed_sans: [a]\n`)[0],
      /a client needs no certif/,
    );
  }
  assert.match(
    problemsWith(`${ca}  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: []\n`)[0],
    /the server would refuse every client/,
  );
  assert.match(problemsWith('  min_version: TLS13\n  max_version: TLS12\n')[0], /TLS13 is above max_version/);
});

test('certificates and keys are tried, and errors are reported at the key that names them', () => {
  const cases: [cert: string, key: string, ...problems: RegExp[]][] = [
    ['nowhere', 'server.key', /^web.yml:2:14: tls_server_config.cert_file: cannot read tls\/nowhere: ENOENT/],
    ['server.crt', 'nowhere', /^web.yml:3:13: tls_server_config.key_file: cannot read tls\/nowhere: ENOENT/],
    ['.', 'server.key', /cert_file: cannot read tls: EISDIR/],
    ['empty', 'empty', /cert_file: has no certificate in PEM/, /key_file: has no private key/],
    ['server.key', 'server.crt', /cert_file: has no certificate/, /key_file: has no private key/],
    ['broken.crt', 'server.key', /cert_file: has a certificate that cannot be read/],
    ['server.crt', 'server2.key', /^web.yml:3:13: .*key_file: is not the key of the certificate/],
    ['server.crt', 'encrypted.key', /key_file: is encrypted/],
    ['weak.crt', 'weak.key', /cert_file: OpenSSL rejects it: .*too small/],
  ];
  for (const [cert, key, ...expected] of cases) {
    const messages = problems(`tls_server_config:\n  cert_file: tls/${cert}\n  key_file: tls/${key}\n`);
    assert.equal(messages.length, expected.length, `${cert} ${key}\n${messages.join('\n')}`);
    for (const [i, pattern] of expected.entries()) assert.match(messages[i], pattern);
  }
  const both = problems(`tls_server_config:\n${PAIR}${inline('cert', 'server.crt')}`);
  assert.match(both.join('\n'), /^web.yml:2:14: tls_server_config.cert_file: cert is set too/);
});

test('no message contains passwords or keys', () => {
  const key = readFileSync(join(FIXTURES, 'server2.key'), 'utf8');
  const messages = [
    ...problems('basic_auth_users: { alice: hunter2, bob: 123456 }\n'),
    ...problems('basic_auth_users: "alice:hunter2"\n'),
    ...problems('basic_auth_users: [alice, hunter2, 123456]\n'),
    ...problems(`tls_server_config:\n  cert_file: tls/server.crt\n${inline('key', 'server2.key')}`),
    ...problems(`tls_server_config:\n  cert_file: tls/server.crt\n  key: ["${key.split('\n')[1]}"]\n`),
  ];
  assert.equal(messages.length, 6);
  assert.doesNotMatch(messages.join('\n'), /hunter2|123456/);
  assert.ok(!messages.join('\n').includes(key.split('\n')[1].slice(0, 12)));
});

test('the files that were read are reported, so that they can be watched', () => {
  const files: string[] = [];
  const file = join(directory, 'web.yml');
  writeFileSync(file, `tls_server_config:\n${PAIR.replace('server.key', 'nowhere')}`);
  assert.throws(() => readWebConfig(file, (path) => files.push(path)));
  assert.deepEqual(files, [file, join(directory, 'tls/server.crt'), join(directory, 'tls/nowhere')]);
});
