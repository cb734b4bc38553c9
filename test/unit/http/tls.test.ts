/** TLS from a client's view: versions, suites, curves, client certificates under each policy, and renewal. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type Limits, type Listening, listen } from '../../../src/http/server/listen.ts';
import type { RefusalReason } from '../../../src/http/server/refusals.ts';
import { namesOf } from '../../../src/http/server/tls-door.ts';
import { openWebConfig } from '../../../src/http/server/web-config-file.ts';
import { countedRefusals } from '../../support/refusals.ts';
import { askOverTls, FIXTURES, identity, pem } from '../../support/tls.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const directory = mkdtempSync(join(tmpdir(), 'ftx-tls-'));
const servers: Listening[] = [];
after(async () => {
  for (const server of servers) await server.close();
  rmSync(directory, { recursive: true });
});

let made = 0;
/** Starts a server with these TLS settings. */
async function serve(tls: string, limits: Partial<Limits> = {}) {
  const file = join(directory, `web${made++}.yml`);
  const write = (section: string) =>
    writeFileSync(file, section === '' ? '' : `tls_server_config:\n${section}`);
  write(tls);
  const { refusals, totals } = countedRefusals(quiet);
  const web = openWebConfig(file, quiet, { lookEveryMs: 0 });
  const app = (_request: unknown, response: { end(text: string): void }) => response.end('hello');
  const server = await listen(app, '127.0.0.1:0', quiet, { web, limits, refusals });
  servers.push(server);
  const url = server.url.replace('127.0.0.1', 'localhost');
  const refused = (reason: RefusalReason) => totals[reason] ?? 0;
  return { url, port: Number(new URL(url).port), write, refused };
}

const section = (name = 'server') =>
  `  cert_file: ${join(FIXTURES, `${name}.crt`)}\n  key_file: ${join(FIXTURES, `${name}.key`)}\n`;
const clients = (type: string, more = '') =>
  `${section()}  client_auth_type: ${type}\n  client_ca_file: ${join(FIXTURES, 'ca.crt')}\n${more}`;

/** Returns a check for errors whose message matches. */
const refusedWith = (pattern: RegExp) => (error: unknown) => pattern.test(String((error as Error).message));
const anyRefusal = /ECONNRESET|EPIPE|hang up|alert|disconnected|before secure/i;

test('by default TLS 1.2 and 1.3, and HTTP/1.1 whatever else is offered', async () => {
  const { url } = await serve(section());
  const usual = await askOverTls(url, { ALPNProtocols: ['h2', 'http/1.1'] });
  assert.deepEqual(
    [usual.status, usual.body, usual.protocol, usual.alpn, usual.server],
    [200, 'hello', 'TLSv1.3', 'http/1.1', 'server'],
  );
  const twelve = await askOverTls(url, { maxVersion: 'TLSv1.2' });
  assert.deepEqual([twelve.protocol, twelve.cipher], ['TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await assert.rejects(askOverTls(url, old), refusedWith(/protocol version/i));
  await assert.rejects(
    askOverTls(url, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }),
    refusedWith(/handshake failure/i),
  );
});

test('versions, suites and curves as the config says', async () => {
  const only13 = await serve(`${section()}  min_version: TLS13\n`);
  await assert.rejects(askOverTls(only13.url, { maxVersion: 'TLSv1.2' }), refusedWith(/protocol version/i));
  const only12 = await serve(`${section()}  max_version: TLS12\n`);
  assert.equal((await askOverTls(only12.url)).protocol, 'TLSv1.2');
  const from10 = await serve(`${section()}  min_version: TLS10\n`);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  assert.equal((await askOverTls(from10.url, old)).protocol, 'TLSv1');

  const suites =
    '  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]\n';
  const clientPrefers = { ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-CHACHA20-POLY1305' };
  const byServer = await serve(section() + suites);
  assert.match((await askOverTls(byServer.url, clientPrefers)).cipher, /CHACHA20/);
  const byClient = await serve(`${section()}${suites}  prefer_server_cipher_suites: false\n`);
  assert.match((await askOverTls(byClient.url, clientPrefers)).cipher, /AES_128_CBC/);
  // `cipher_suites` does not apply to TLS 1.3, so TLS 1.3 stays on.
  const both = await serve(`${section()}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n`);
  assert.equal((await askOverTls(both.url)).protocol, 'TLSv1.3');

  const curves = await serve(`${section()}  curve_preferences: [CurveP384, X25519]\n`);
  assert.equal((await askOverTls(curves.url, { ecdhCurve: 'X25519' })).status, 200);
  await assert.rejects(askOverTls(curves.url, { ecdhCurve: 'P-256' }), refusedWith(/handshake failure/i));
});

test('client certificates under each policy', async () => {
  const none = {};
  const [client, stranger] = [identity('client'), identity('stranger')];
  const policies: Record<string, [none: boolean, client: boolean, stranger: boolean]> = {
    RequestClientCert: [true, true, true],
    RequireAnyClientCert: [false, true, true],
    RequireClientCert: [false, true, true],
    VerifyClientCertIfGiven: [true, true, false],
    RequireAndVerifyClientCert: [false, true, false],
  };
  for (const [type, letIn] of Object.entries(policies)) {
    const { url, refused } = await serve(clients(type));
    for (const [i, shown] of [none, client, stranger].entries()) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const answer = askOverTls(url, { ...shown, maxVersion });
        if (letIn[i]) assert.equal((await answer).status, 200, `${type} ${i}`);
        else await assert.rejects(answer, refusedWith(anyRefusal), `${type} ${i}`);
      }
    }
    assert.equal(refused('client_certificate'), 2 * letIn.filter((yes) => !yes).length, type);
  }
  const unasked = await serve(section());
  assert.equal((await askOverTls(unasked.url, stranger)).status, 200);
});

test('an expired certificate, or one for servers or from another CA, is refused', async () => {
  const { url } = await serve(clients('RequireAndVerifyClientCert'));
  await assert.rejects(askOverTls(url, identity('expired')), refusedWith(anyRefusal));
});

test('names of certificates are compared whole, whatever their kind', async () => {
  const asks = async (names: string, shown = identity('client')) => {
    const { url } = await serve(clients('RequireAndVerifyClientCert', `  client_allowed_sans: ${names}\n`));
    return askOverTls(url, shown).then(
      ({ status }) => status === 200,
      () => false,
    );
  };
  for (const name of [
    'prometheus.example',
    '192.0.2.7',
    '"2001:db8::7"',
    '"2001:DB8:0:0::7"',
    'ops@example.org',
    '"spiffe://example.org/ns/monitoring"',
  ]) {
    assert.equal(await asks(`[other.example, ${name}]`), true, name);
  }
  for (const name of ['example', '"*.example"', 'client', '192.0.2.70', 'DNS:prometheus.example']) {
    assert.equal(await asks(`[${name}]`), false, name);
  }
  // The certificate has the right name, but no trusted authority has signed it.
  assert.equal(await asks('[prometheus.example]', identity('stranger')), false);
});

test('names that try to look like several', () => {
  const names = (subjectaltname: string) => namesOf({ subjectaltname });
  assert.deepEqual(names('DNS:a, IP Address:0:0:0:0:0:0:0:1, email:b@c, URI:d:e'), [
    'a',
    '::1',
    'b@c',
    'd:e',
  ]);
  assert.deepEqual(names('DNS:"a, DNS:prometheus.example", DNS:b'), ['a, DNS:prometheus.example', 'b']);
  assert.deepEqual(names('othername:<unsupported>, DirName:/CN=x, DNS:b'), ['b']);
  assert.deepEqual(names('DNS:a", DNS:b'), []);
  assert.deepEqual(names(''), []);
});

/** Does a handshake. Returns the session; undefined if the server offers none. */
async function session(port: number, options: ConnectionOptions): Promise<Buffer | undefined> {
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port,
    ca: pem('ca.crt'),
    servername: 'localhost',
    ...options,
  });
  let resumable: Buffer | undefined;
  socket.on('session', (data) => {
    resumable = data;
  });
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(300) }).catch(() => {});
  resumable ??= socket.getSession();
  socket.destroy();
  return resumable;
}

test('a session that began without the right certificate does not open the door later', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const shown of [{}, identity('stranger')]) {
      const { url, port } = await serve(clients('RequireAndVerifyClientCert'));
      const resumable = await session(port, { ...shown, maxVersion });
      await assert.rejects(
        askOverTls(url, { ...(resumable === undefined ? {} : { session: resumable }), maxVersion }),
        refusedWith(anyRefusal),
      );
    }
  }
});

test('a session of a client whose certificate is revoked by another CA is not resumed', async () => {
  const server = await serve(clients('RequireAndVerifyClientCert'));
  const resumable = await session(server.port, { ...identity('client'), maxVersion: 'TLSv1.3' });
  server.write(clients('RequireAndVerifyClientCert').replace('/ca.crt', '/other-ca.crt'));
  await assert.rejects(
    askOverTls(server.url, {
      ...identity('client'),
      ...(resumable === undefined ? {} : { session: resumable }),
    }),
    refusedWith(anyRefusal),
  );
  assert.equal((await askOverTls(server.url, identity('stranger'))).status, 200);
});

test('a renewed certificate is used from the next connection on; open ones stay', async () => {
  const [cert, key] = ['live.crt', 'live.key'].map((name) => join(directory, name));
  copyFileSync(join(FIXTURES, 'server.crt'), cert);
  copyFileSync(join(FIXTURES, 'server.key'), key);
  const { url, port } = await serve('  cert_file: live.crt\n  key_file: live.key\n');
  assert.equal((await askOverTls(url)).server, 'server');
  const open = connect({ host: '127.0.0.1', port, ca: pem('ca.crt'), servername: 'localhost' });
  await once(open, 'secureConnect');
  copyFileSync(join(FIXTURES, 'server2.crt'), cert);
  copyFileSync(join(FIXTURES, 'server2.key'), key);
  assert.equal((await askOverTls(url)).server, 'server2');
  open.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match(String(await once(open, 'data')), /^HTTP\/1.1 200/);
  open.destroy();
});

test('TLS can be switched on while the server runs; a file without it does not switch it off', async () => {
  const { url, write } = await serve('');
  const secure = url.replace('http:', 'https:');
  assert.equal(await (await fetch(url)).text(), 'hello');
  await assert.rejects(askOverTls(secure));
  write(section());
  assert.equal((await askOverTls(secure)).status, 200);
  write('');
  assert.equal((await askOverTls(secure)).status, 200);
});

test('bytes that are not TLS are cut off at once, silence after a while, and both are counted', async () => {
  const { port, refused, url } = await serve(section(), { headersMs: 200, checkMs: 50 });
  for (const garbage of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\0'.repeat(1000), '\x16\x03\x01\xff\xff']) {
    const socket = connectPlain(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume().write(garbage, 'latin1');
    await once(socket, 'close');
  }
  for (const [bytes, end] of [
    ['', 'end'],
    ['', 'resetAndDestroy'],
    ['\x16', 'end'],
  ] as const) {
    const socket = connectPlain(port, '127.0.0.1').resume();
    await once(socket, 'connect');
    if (bytes !== '') socket.write(bytes, 'latin1');
    socket[end]();
    if (!socket.closed) await once(socket, 'close');
  }
  // This server has the usual, longer limits.
  const patient = await serve(section());
  const silence = (at: number) => once(connectPlain(at, '127.0.0.1').resume(), 'close').then(() => at);
  assert.equal(await Promise.race([silence(patient.port), silence(port)]), port);
  const shaken = connect({ host: '127.0.0.1', port, ca: pem('ca.crt'), servername: 'localhost' }).resume();
  await once(shaken, 'close');
  await sleep(50);
  // Three clients did not send TLS, one gave up during the handshake, and one sent nothing. Clients that only opened
  // and closed a connection do not count.
  assert.equal(refused('tls_handshake'), 5);
  assert.equal((await askOverTls(url)).status, 200);
});
