/** Checks of requests before they reach a route, over real connections. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashSync } from 'bcryptjs';
import { type Limits, type Listening, listen } from '../../../src/http/server/listen.ts';
import { openWebConfig } from '../../../src/http/server/web-config-file.ts';
import { countedRefusals } from '../../support/refusals.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const directory = mkdtempSync(join(tmpdir(), 'ftx-guard-'));
const servers: Listening[] = [];
after(async () => {
  for (const server of servers) await server.close();
  rmSync(directory, { recursive: true });
});

const ALICE = `basic_auth_users: { alice: "${hashSync('secret', 4)}" }\n`;
const hello = (_request: IncomingMessage, response: ServerResponse): void => {
  response.end('hello');
};

let made = 0;
async function serve(yaml: string, { app = hello, limits = {} as Partial<Limits> } = {}) {
  const file = join(directory, `web${made++}.yml`);
  const write = (text: string) => writeFileSync(file, text);
  write(yaml);
  const { refusals, totals } = countedRefusals(quiet);
  const server = await listen(app, '127.0.0.1:0', quiet, {
    web: openWebConfig(file, quiet, { lookEveryMs: 0 }),
    limits,
    refusals,
  });
  servers.push(server);
  const refused = () => ({ ...totals });
  return { url: server.url, port: Number(new URL(server.url).port), write, refused };
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

function ask(url: string, user?: string, more: { agent?: Agent; method?: string; body?: string } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const options = { agent: false as const, ...more, ...(user === undefined ? {} : { auth: user }) };
    const sent = request(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(more.body);
  });
}

/** Sends raw text. Returns everything that the server sends until it closes the connection. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let got = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    got += chunk;
  });
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return got;
}

test('without the right password it is 401 with a challenge, on every path', async () => {
  const { url, refused } = await serve(ALICE);
  for (const path of ['/', '/healthz', '/nope']) {
    for (const user of [undefined, 'alice:wrong', 'bob:secret', ':', 'alice:']) {
      const { status, headers, body } = await ask(url + path, user);
      assert.equal(status, 401, `${path} ${user}`);
      assert.equal(headers['www-authenticate'], 'Basic realm="ftrace-exporter", charset="UTF-8"');
      assert.equal(headers['cache-control'], 'no-store');
      assert.match(body, /^unauthorized/);
    }
    assert.equal((await ask(url + path, 'alice:secret')).body, 'hello');
  }
  assert.deepEqual(refused(), { no_credentials: 3, wrong_credentials: 12 });
});

test('a changed password is in force on connections that are open, too', async () => {
  const { url, write } = await serve(ALICE);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  assert.equal((await ask(url, 'alice:secret', { agent })).status, 200);
  write(`basic_auth_users: { alice: "${hashSync('other', 4)}" }\n`);
  assert.equal((await ask(url, 'alice:secret', { agent })).status, 401);
  assert.equal((await ask(url, 'alice:other', { agent })).status, 200);
  write('');
  assert.equal((await ask(url, undefined, { agent })).status, 401, 'an emptied file takes no password away');
  assert.equal((await ask(url, 'alice:other', { agent })).status, 200);
  agent.destroy();
});

test('headers of the config are on every answer, over those of the agent', async () => {
  const { url } = await serve(
    `${ALICE}http_server_config: { headers: { Content-Security-Policy: "default-src 'self'", X-XSS-Protection: "0" } }\n`,
  );
  for (const user of ['alice:secret', undefined]) {
    const { headers } = await ask(url, user);
    assert.equal(headers['content-security-policy'], "default-src 'self'");
    assert.equal(headers['x-xss-protection'], '0');
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
});

test('a rate applies to all; with users, those who know a password have their own', async () => {
  const open = await serve('rate_limit: { interval: 10m, burst: 2 }\n');
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await ask(open.url)).status);
  assert.deepEqual(statuses, [200, 200, 429, 429]);
  assert.equal((await ask(open.url)).headers['retry-after'], '600');

  const closed = await serve(`${ALICE}rate_limit: { interval: 10m, burst: 2 }\n`);
  assert.equal((await ask(closed.url, 'alice:secret')).status, 200);
  assert.equal((await ask(closed.url, 'alice:wrong')).status, 401);
  for (let i = 0; i < 10; i++) assert.equal((await ask(closed.url, `alice:${i}`)).status, 429);
  assert.equal((await ask(closed.url)).status, 429);
  assert.equal((await ask(closed.url, 'alice:secret')).status, 200);
  assert.equal((await ask(closed.url, 'alice:secret')).status, 200);
  assert.equal((await ask(closed.url, 'alice:secret')).status, 429);
});

test('the server reads no body: the connection ends after the answer', async () => {
  const { url, port } = await serve('');
  assert.equal(
    (await ask(url, undefined, { method: 'POST', body: 'x'.repeat(100) })).headers.connection,
    'close',
  );
  const answer = await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx');
  assert.match(answer, /^HTTP\/1.1 200 .*\r\nConnection: close\r\n/s);
});

test('requests that do not wait for the answer before are dropped', async () => {
  let requests = 0;
  const app = (_request: IncomingMessage, response: ServerResponse) => {
    requests++;
    setTimeout(() => response.end('hello'), 20);
  };
  const { port } = await serve('', { app });
  await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000));
  assert.equal(requests, 1);
});

test('headers that are too large, too slow or not HTTP are answered and cut off', async () => {
  const { port, refused } = await serve('', { limits: { headersMs: 300, checkMs: 50 } });
  assert.match(
    await raw(port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1.1 431 /,
  );
  assert.match(await raw(port, `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1.1 431 /);
  assert.match(await raw(port, '\x16\x03\x01 what is this\r\n\r\n'), /^HTTP\/1.1 400 /);
  assert.match(await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\nX: a'), /^HTTP\/1.1 408 /);
  const broken = connect(port, '127.0.0.1').on('error', () => {});
  broken.write('GET / HT');
  broken.resetAndDestroy();
  await sleep(50);
  assert.deepEqual(refused(), { large_headers: 2, malformed_request: 1, slow_request: 1 });
});

test('while there are more slow clients than places, a good one is answered', {
  timeout: 60_000,
}, async (t) => {
  // The server's check for slow connections does not run in this time, so only the limit of connections helps.
  const limits = { connections: 50, checkMs: 3_600_000 };
  const { url, port, refused } = await serve(ALICE, { limits });
  const slow: Socket[] = [];
  for (let i = 0; i < 200; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nX: ');
    slow.push(socket);
  }
  const drip = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write('a');
  }, 20);
  t.after(() => {
    clearInterval(drip);
    for (const socket of slow) socket.destroy();
  });
  for (let i = 0; i < 10; i++) {
    assert.equal((await ask(url, 'alice:secret')).status, 200);
    await sleep(10);
  }
  const open = slow.filter(({ closed }) => !closed).length;
  assert.ok(open <= 50, `${open} are open`);
  assert.ok((refused().connections ?? 0) >= 150);
});

test('a connection that is let in keeps its place while slow clients come and go', async () => {
  const { url, port } = await serve('', { limits: { connections: 20 } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await ask(url, undefined, { agent });
  const [socket] = Object.values(agent.freeSockets).flat();
  for (let i = 0; i < 100; i++)
    connect(port, '127.0.0.1')
      .on('error', () => {})
      .write('GET');
  await sleep(100);
  assert.equal((await ask(url, undefined, { agent })).status, 200);
  assert.equal(Object.values(agent.freeSockets).flat()[0], socket);
  agent.destroy();
});
