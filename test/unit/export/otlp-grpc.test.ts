/** OTLP over gRPC with OpenTelemetry's exporter and a backend in this process. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2Server, type OutgoingHttpHeaders } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import type { Exporter } from '../../../src/export/otlp/exporter.ts';
import { retryDelayMs } from '../../../src/export/otlp/grpc.ts';
import type { OtlpTarget } from '../../../src/model/otlp.ts';
import { encodeOtlp } from '../../support/otlp.ts';
import { openRawExporter, refused } from '../../support/otlp-exporter.ts';
import { type GrpcAnswer, type Receiver, startGrpcReceiver } from '../../support/otlp-receiver.ts';
import { FIXTURES, identity, pem } from '../../support/tls.ts';

const BODY = encodeOtlp('ExportMetricsServiceRequest', {});
const log = { debug() {}, info() {}, warn() {}, error() {} };
const receivers: Receiver<GrpcAnswer>[] = [];
const transports: Exporter<Uint8Array>[] = [];
after(async () => {
  for (const transport of transports) transport.close();
  for (const receiver of receivers) await receiver.close();
});

async function receiverOf(...options: Parameters<typeof startGrpcReceiver>) {
  const receiver = await startGrpcReceiver(...options);
  receivers.push(receiver);
  return receiver;
}

function transportTo(url: string, more: Partial<OtlpTarget> = {}): Exporter<Uint8Array> {
  const target: OtlpTarget = {
    protocol: 'grpc',
    url,
    headers: {},
    timeoutMs: 10_000,
    compression: 'none',
    ...more,
  };
  const transport = openRawExporter(target, log);
  transports.push(transport);
  return transport;
}

test('a call, with headers and compressed', async () => {
  const receiver = await receiverOf();
  const body = Buffer.alloc(20_000, 'a');
  for (const compression of ['none', 'gzip'] as const) {
    const transport = transportTo(receiver.url, { compression, headers: { 'Api-Key': 'x' } });
    assert.ok((await transport.attempt(body, 5000)).accepted);
    const request = receiver.received.at(-1);
    assert.deepEqual(request?.body, body);
    assert.equal(request?.headers['api-key'], 'x');
    assert.match(request?.headers['user-agent'] ?? '', /^test\/1 \(\d+\) OTel-OTLP-Exporter/);
  }
});

test('which refusals are temporary, and how long to wait', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  const ask = async (answer: GrpcAnswer) => {
    receiver.answer = answer;
    return refused(await transport.attempt(BODY, 5000));
  };
  const { UNAVAILABLE, RESOURCE_EXHAUSTED, INVALID_ARGUMENT, UNAUTHENTICATED, UNIMPLEMENTED } = status;
  assert.deepEqual(await ask({ code: UNAVAILABLE, message: 'busy' }), {
    reason: 'gRPC UNAVAILABLE: busy',
    retryable: true,
    waitMs: undefined,
  });
  assert.deepEqual(await ask({ code: UNAVAILABLE, message: 'busy', retryDelaySeconds: 12.5 }), {
    reason: 'gRPC UNAVAILABLE: busy',
    retryable: true,
    waitMs: 12_500,
  });
  assert.equal((await ask({ code: RESOURCE_EXHAUSTED, message: '' })).retryable, false);
  const exhausted = await ask({ code: RESOURCE_EXHAUSTED, message: '', retryDelaySeconds: 1 });
  assert.deepEqual([exhausted.retryable, exhausted.waitMs], [true, 1000]);
  for (const code of [INVALID_ARGUMENT, UNAUTHENTICATED, UNIMPLEMENTED]) {
    assert.equal((await ask({ code, message: '' })).retryable, false, status[code]);
  }
});

test('a backend that hangs, is gone, and comes back', async () => {
  const receiver = await receiverOf();
  const transport = transportTo(receiver.url);
  receiver.answer = 'hang';
  const late = refused(await transport.attempt(BODY, 300));
  assert.match(late.reason, /^no response within 0.3 s|^gRPC DEADLINE_EXCEEDED/);
  assert.equal(late.retryable, true);
  receiver.answer = 'ok';
  assert.ok((await transport.attempt(BODY, 5000)).accepted, 'by another connection');

  await receiver.close();
  const gone = refused(await transport.attempt(BODY, 5000));
  assert.match(gone.reason, /ECONNREFUSED|REFUSED_STREAM/);
  assert.equal(gone.retryable, true);
  await receiverOf({ port: receiver.port });
  const deadline = performance.now() + 20_000;
  while (!(await transport.attempt(BODY, 5000)).accepted) {
    assert.ok(performance.now() < deadline, 'it does not recover');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

test('a host that accepts connections and stays silent: none of them is kept', async (t) => {
  let open = 0;
  const silent = createServer((socket) => {
    open++;
    socket.on('close', () => open--).on('error', () => {});
    socket.resume();
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const transport = transportTo(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  for (let i = 0; i < 3; i++) {
    const { reason, retryable } = refused(await transport.attempt(BODY, 200));
    assert.deepEqual([reason, retryable], ['no response within 0.2 s', true]);
  }
  while (open > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

test('peers that do not speak gRPC: HTTP/1, a proxy, other bytes', async (t) => {
  const answerers: [answer: (socket: Socket) => void, retryable: boolean][] = [
    [(socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), true],
    [(socket) => socket.write(Buffer.alloc(100_000, 'x')), true],
    [(socket) => socket.destroy(), true],
  ];
  for (const [answer, retryable] of answerers) {
    const odd = createServer((socket) => {
      socket.on('error', () => {});
      answer(socket);
    });
    odd.listen(0, '127.0.0.1');
    await once(odd, 'listening');
    t.after(() => odd.close());
    const transport = transportTo(`http://127.0.0.1:${(odd.address() as AddressInfo).port}`);
    assert.equal(refused(await transport.attempt(BODY, 2000)).retryable, retryable);
  }
  const answers: [headers: OutgoingHttpHeaders, reason: string, retryable: boolean][] = [
    [{ ':status': 404 }, 'gRPC UNIMPLEMENTED: Received HTTP status code 404', false],
    [{ ':status': 503 }, 'gRPC UNAVAILABLE: Received HTTP status code 503', true],
    [{ ':status': 200 }, 'gRPC UNKNOWN: Received HTTP status code 200', false],
    [{ ':status': 200, 'grpc-status': '14', 'grpc-message': 'no%20one' }, 'gRPC UNAVAILABLE: no one', true],
    [{ ':status': 200, 'grpc-status': '99', 'grpc-message': '%' }, 'gRPC 99: %', false],
  ];
  const proxy = createHttp2Server();
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const transport = transportTo(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  for (const [headers, reason, retryable] of answers) {
    proxy.once('stream', (stream) => stream.respond(headers, { endStream: true }));
    const refusal = refused(await transport.attempt(BODY, 20_000));
    assert.deepEqual([refusal.reason, refusal.retryable], [reason, retryable]);
  }
  proxy.once('stream', (stream) => {
    stream.on('error', () => {}).respond({ ':status': 200, 'content-type': 'application/grpc' });
    const message = Buffer.alloc(5 + (5 << 20));
    message.writeUInt32BE(5 << 20, 1);
    stream.end(message);
  });
  assert.match(refused(await transport.attempt(BODY, 20_000)).reason, /RESOURCE_EXHAUSTED.*larger than max/);
  proxy.once('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(Buffer.of(0, 0, 1, 0, 0));
    const timer = setInterval(() => stream.write('x'), 20);
    stream.on('close', () => clearInterval(timer)).on('error', () => {});
  });
  assert.equal(refused(await transport.attempt(BODY, 200)).reason, 'no response within 0.2 s');
  transport.close();
});

test('a backend that sends GOAWAY between two calls', async (t) => {
  const sessions = new Set<object>();
  const server = createHttp2Server();
  server.on('stream', (stream) => {
    const { session } = stream;
    assert.ok(session);
    sessions.add(session);
    stream.on('error', () => {}).resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.alloc(5));
    stream.on('close', () => session.goaway());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const transport = transportTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (let i = 0; i < 3; i++) {
    assert.ok((await transport.attempt(BODY, 20_000)).accepted);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(sessions.size, 3);
  transport.close();
});

test('closing ends the call in progress', async () => {
  const receiver = await receiverOf();
  receiver.answer = 'hang';
  const transport = transportTo(receiver.url);
  const attempt = transport.attempt(BODY, 60_000);
  await receiver.request(0);
  transport.close();
  assert.equal(refused(await attempt).reason, 'no response before the program ended');
});

test('TLS, with a certificate of our own', async () => {
  const file = (name: string) => join(FIXTURES, name);
  const tls = { ...identity('server'), ca: pem('ca.crt'), requestCert: true };
  const receiver = await receiverOf({ tls });
  const shown = transportTo(receiver.url, {
    certificateFile: file('ca.crt'),
    clientCertificateFile: file('client.crt'),
    clientKeyFile: file('client.key'),
  });
  assert.ok((await shown.attempt(BODY, 5000)).accepted);
  const bare = transportTo(receiver.url, { certificateFile: file('ca.crt') });
  assert.ok(!(await bare.attempt(BODY, 2000)).accepted);
  const trustless = transportTo(receiver.url);
  assert.match(refused(await trustless.attempt(BODY, 20_000)).reason, /certificate/);
  const plain = transportTo(receiver.url.replace('https', 'http'));
  assert.ok(!(await plain.attempt(BODY, 2000)).accepted);
});

test('details of a refusal: as encoded, and nothing for any other bytes', () => {
  const retryInfo = encodeOtlp('RetryInfo', { retryDelay: { seconds: 3, nanos: 250_000_000 } });
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: retryInfo }];
  const encoded = encodeOtlp('Status', { code: 8, message: 'slow down', details });
  assert.equal(retryDelayMs(encoded), 3250);
  assert.equal(retryDelayMs(encodeOtlp('Status', { code: 8, message: 'x' })), undefined);
  const never = [
    { typeUrl: details[0].typeUrl, value: encodeOtlp('RetryInfo', { retryDelay: { seconds: -1 } }) },
  ];
  const negative = retryDelayMs(encodeOtlp('Status', { code: 8, details: never }));
  assert.ok(negative === undefined || negative >= 0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(encoded.length), (bytes, cut) => {
      for (const input of [
        bytes,
        encoded.subarray(0, cut),
        Buffer.concat([encoded.subarray(0, cut), bytes]),
      ]) {
        const delay = retryDelayMs(Buffer.from(input));
        assert.ok(delay === undefined || delay >= 0);
      }
    }),
  );
});
