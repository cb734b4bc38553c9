/** OTLP over HTTP with OpenTelemetry's exporter and a backend in this process that does everything real backends do. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Exporter } from '../../../src/export/otlp/exporter.ts';
import { retryAfterMs } from '../../../src/export/otlp/http.ts';
import { UsageError } from '../../../src/model/errors.ts';
import type { Log } from '../../../src/model/log.ts';
import type { OtlpTarget } from '../../../src/model/otlp.ts';
import { encodeOtlp } from '../../support/otlp.ts';
import { openRawExporter, refused } from '../../support/otlp-exporter.ts';
import { type HttpAnswer, type Receiver, startHttpReceiver } from '../../support/otlp-receiver.ts';
import { FIXTURES, identity, pem } from '../../support/tls.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftx-otlp-'));
const receivers: Receiver<HttpAnswer>[] = [];
const transports: Exporter<Uint8Array>[] = [];
after(async () => {
  for (const transport of transports) transport.close();
  for (const receiver of receivers) await receiver.close();
  rmSync(directory, { recursive: true });
});

const BODY = Buffer.from('a body');
const warnings: string[] = [];
const log: Log = { debug() {}, info() {}, warn: (_, message) => warnings.push(message), error() {} };

async function receiverOf(...options: Parameters<typeof startHttpReceiver>) {
  const receiver = await startHttpReceiver(...options);
  receivers.push(receiver);
  return receiver;
}

function transportTo(url: string, more: Partial<OtlpTarget> = {}): Exporter<Uint8Array> {
  const target: OtlpTarget = {
    protocol: 'http/protobuf',
    url: `${url}/v1/metrics`,
    headers: {},
    timeoutMs: 10_000,
    compression: 'none',
    ...more,
  };
  const transport = openRawExporter(target, log);
  transports.push(transport);
  return transport;
}

test('a request, as the specification has it', async () => {
  const receiver = await receiverOf();
  receiver.answer = { status: 200, body: 'an answer' };
  const headers = { Authorization: 'Bearer x', 'X-Scope-OrgID': '7' };
  const attempt = await transportTo(receiver.url, { headers }).attempt(BODY, 5000);
  assert.deepEqual(attempt, { accepted: true, rejected: 0, message: 'an answer' });
  const [request] = receiver.received;
  assert.equal(request.path, '/v1/metrics');
  assert.deepEqual(request.body, BODY);
  const { authorization, 'x-scope-orgid': org, 'content-type': type, 'user-agent': agent } = request.headers;
  assert.deepEqual(
    [authorization, org, type, agent],
    ['Bearer x', '7', 'application/x-protobuf', 'test/1 OTel-OTLP-Exporter-JavaScript/0.301.0'],
  );
  assert.equal(request.headers['content-encoding'], undefined);
});

test('JSON, and gzip', async () => {
  const receiver = await receiverOf();
  const body = Buffer.from('{"a": 1}'.repeat(1000));
  const transport = transportTo(receiver.url, { protocol: 'http/json', compression: 'gzip' });
  assert.ok((await transport.attempt(body, 5000)).accepted);
  const [{ headers, body: received, wireBytes }] = receiver.received;
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['content-encoding'], 'gzip');
  assert.ok(wireBytes < 500);
  assert.deepEqual(received, body);
});

test('a header of the config wins over ours, except for those that describe the body', async () => {
  const receiver = await receiverOf();
  const headers = { 'User-Agent': 'mine', 'Content-Type': 'text/plain' };
  await transportTo(receiver.url, { headers }).attempt(BODY, 5000);
  assert.match(receiver.received[0].headers['user-agent'] ?? '', /^mine OTel-OTLP-Exporter/);
  assert.equal(receiver.received[0].headers['content-type'], 'application/x-protobuf');
});

test('credentials and a query in the endpoint arrive', async () => {
  const receiver = await receiverOf();
  const url = `${receiver.url.replace('//', '//me:pass%20word@')}/x?key=1`;
  await transportTo('', { url }).attempt(BODY, 5000);
  assert.equal(receiver.received[0].path, '/x?key=1');
  assert.equal(
    receiver.received[0].headers.authorization,
    `Basic ${Buffer.from('me:pass word').toString('base64')}`,
  );
});

test('one connection serves many requests', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  for (let i = 0; i < 5; i++) assert.ok((await transport.attempt(BODY, 5000)).accepted);
  assert.equal(receiver.connections(), 1);
});

test('which refusals are temporary, and the reasons that the backend gives', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  const ask = async (answer: HttpAnswer) => {
    receiver.answer = answer;
    return refused(await transport.attempt(BODY, 20_000));
  };
  for (const status of [429, 502, 503, 504]) {
    assert.equal((await ask({ status })).retryable, true, String(status));
  }
  for (const status of [301, 400, 401, 403, 404, 413, 415, 500, 501]) {
    assert.equal((await ask({ status })).retryable, false, String(status));
  }
  const text = { 'content-type': 'text/plain; charset=utf-8' };
  assert.deepEqual(await ask({ status: 400, headers: text, body: 'bad\n  thing\n' }), {
    reason: 'HTTP 400 Bad Request: bad thing',
    retryable: false,
    waitMs: undefined,
  });
  const throttled = await ask({ status: 429, headers: text, body: 'too many series' });
  assert.equal(throttled.reason, 'HTTP 429 Too Many Requests: too many series');
  const { reason } = await ask({ status: 400, headers: text, body: 'x'.repeat(10_000) });
  assert.ok(reason.length < 300);
  const body = encodeOtlp('Status', { code: 8, message: 'too many series' });
  const protobuf = { 'content-type': 'application/x-protobuf' };
  assert.equal(
    (await ask({ status: 413, headers: protobuf, body })).reason,
    'HTTP 413 Payload Too Large: too many series',
  );
  const page = { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' };
  assert.equal((await ask(page)).reason, 'HTTP 502 Bad Gateway');
});

test('Retry-After: seconds or a date; only if trying again makes sense', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  const ask = async (status: number, value: string) => {
    receiver.answer = { status, headers: { 'retry-after': value } };
    return refused(await transport.attempt(BODY, 5000)).waitMs;
  };
  assert.equal(await ask(503, '7'), 7000);
  assert.equal(await ask(429, 'soon'), undefined);
  assert.equal(await ask(400, '7'), undefined);
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:30 GMT', now), 30_000);
  assert.equal(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  assert.equal(retryAfterMs('-5', now), 0);
  assert.equal(retryAfterMs(undefined, now), undefined);
});

test('a backend that hangs, drips, breaks off or is missing costs its time and no more', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  for (const answer of ['hang', 'drip'] as const) {
    receiver.answer = answer;
    const { reason, retryable } = refused(await transport.attempt(BODY, 300));
    assert.deepEqual([reason, retryable], ['no response within 0.3 s', true]);
  }
  receiver.answer = 'reset';
  const reset = refused(await transport.attempt(BODY, 500));
  assert.match(reset.reason, /socket hang up|ECONNRESET/);
  assert.equal(reset.retryable, true);
  receiver.answer = { status: 200, headers: { 'content-length': '100' }, body: 'short' };
  assert.equal(refused(await transport.attempt(BODY, 300)).retryable, true);
  for (const [status, reason] of [
    [200, 'the response is too large'],
    [400, 'HTTP 400 Bad Request'],
  ] as const) {
    receiver.answer = { status, body: Buffer.alloc(100_000) };
    const refusal = refused(await transport.attempt(BODY, 5000));
    assert.deepEqual([refusal.reason, refusal.retryable], [reason, status === 200]);
  }
  receiver.answer = { status: 200 };
  assert.ok((await transport.attempt(BODY, 5000)).accepted, 'and then it is well again');

  const gone = await startHttpReceiver();
  await gone.close();
  const { reason, retryable } = refused(await transportTo(gone.url).attempt(BODY, 500));
  assert.match(reason, /ECONNREFUSED/);
  assert.equal(retryable, true);
  const nowhere = transportTo('http://nowhere.invalid');
  assert.match(refused(await nowhere.attempt(BODY, 500)).reason, /nowhere\.invalid|no response/);
});

test('a temporary failure ends an attempt, although the exporter would try again', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  for (const answer of [{ status: 503 }, 'reset'] as const) {
    receiver.answer = answer;
    assert.equal(refused(await transport.attempt(BODY, 20_000)).retryable, true);
  }
  // Long enough for a retry by the exporter itself, which would come after at most 1.2 s.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(receiver.received.length, 2, 'one request per attempt');
});

test('closing ends the attempt under way, and its connection', async () => {
  const receiver = await receiverOf();
  receiver.answer = 'hang';
  const transport = transportTo(receiver.url);
  const attempt = transport.attempt(BODY, 60_000);
  await receiver.request(0);
  transport.close();
  assert.equal(refused(await attempt).reason, 'no response before the program ended');
  while (receiver.connections() > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

const file = (name: string) => join(FIXTURES, name);
const server = { ...identity('server'), ca: pem('ca.crt') };

test('TLS: only the configured authority is trusted', async () => {
  const receiver = await receiverOf({ tls: server });
  const trusting = transportTo(receiver.url, { certificateFile: file('ca.crt') });
  assert.ok((await trusting.attempt(BODY, 5000)).accepted);
  for (const certificateFile of [undefined, file('other-ca.crt')]) {
    const transport = transportTo(receiver.url, certificateFile === undefined ? {} : { certificateFile });
    assert.match(refused(await transport.attempt(BODY, 5000)).reason, /certificate/);
  }
});

test('TLS with a client certificate', async () => {
  const receiver = await receiverOf({ tls: { ...server, requestCert: true } });
  const certificateFile = file('ca.crt');
  const shown = transportTo(receiver.url, {
    certificateFile,
    clientCertificateFile: file('client.crt'),
    clientKeyFile: file('client.key'),
  });
  assert.ok((await shown.attempt(BODY, 5000)).accepted);
  const bare = transportTo(receiver.url, { certificateFile });
  assert.ok(!(await bare.attempt(BODY, 5000)).accepted);
});

test('changed certificates are read again; if the new ones are invalid, the old ones stay', async () => {
  const receiver = await receiverOf({ tls: server });
  const certificateFile = join(directory, 'ca.pem');
  copyFileSync(file('other-ca.crt'), certificateFile);
  const transport = transportTo(receiver.url, { certificateFile });
  assert.ok(!(await transport.attempt(BODY, 5000)).accepted);
  const replace = (write: () => void, seconds: number) => {
    write();
    utimesSync(certificateFile, seconds, seconds);
  };
  replace(() => copyFileSync(file('ca.crt'), certificateFile), 1000);
  assert.ok((await transport.attempt(BODY, 5000)).accepted);
  replace(() => writeFileSync(certificateFile, '-----BEGIN CERTIFICATE-----\nhalf a fi'), 2000);
  assert.ok((await transport.attempt(BODY, 5000)).accepted);
  rmSync(certificateFile);
  assert.ok((await transport.attempt(BODY, 5000)).accepted);
  assert.deepEqual(
    new Set(warnings),
    new Set(['OTLP: the new certificates cannot be used; the previous ones stay in use']),
  );
});

test('files that cannot be used are an error of the config', () => {
  const open = (more: Partial<OtlpTarget>) => () => transportTo('https://localhost:1', more);
  const broken = join(directory, 'broken.pem');
  writeFileSync(broken, 'no certificate');
  assert.throws(open({ certificateFile: join(directory, 'none') }), (error) => {
    assert.ok(error instanceof UsageError);
    assert.match(
      error.message,
      /^otlp\.certificate: cannot read ".*none": ENOENT: check the path and the permissions$/,
    );
    return true;
  });
  assert.throws(open({ certificateFile: broken }), /otlp\.certificate .*: it contains no CA certificate/);
  assert.throws(
    open({ clientCertificateFile: broken, clientKeyFile: file('client.key') }),
    /^UsageError: otlp\.client_certificate \(.*broken\.pem\), otlp\.client_key \(.*client\.key\): can't be used for TLS: /,
  );
  assert.throws(
    open({ clientCertificateFile: file('client.crt'), clientKeyFile: file('server.key') }),
    /can't be used for TLS: .*mismatch/,
  );
});
