import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { listen, parseListenAddress } from '../../../src/http/server/listen.ts';
import { KernelError, UsageError } from '../../../src/model/errors.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

test('listen addresses', () => {
  assert.deepEqual(parseListenAddress(':10743'), { host: undefined, port: 10743 });
  assert.deepEqual(parseListenAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(parseListenAddress('[::1]:10743'), { host: '::1', port: 10743 });
  assert.deepEqual(parseListenAddress('node-1.example:80'), { host: 'node-1.example', port: 80 });
  for (const text of [
    '',
    '10743',
    ':',
    ':x',
    ':65536',
    '::1:10743',
    '[::1]',
    '[x]:1',
    'a b:1',
    'http://x:1',
    ':-1',
    ':1 ',
  ]) {
    assert.throws(() => parseListenAddress(text), UsageError, text);
  }
});

test('an address in use is an error that says so, and what to do', async () => {
  const first = await listen(() => {}, '127.0.0.1:0', quiet);
  try {
    const address = first.url.slice('http://'.length);
    await assert.rejects(
      listen(() => {}, address, quiet),
      (error) => {
        assert.ok(error instanceof KernelError);
        assert.equal(error.errno, 'EADDRINUSE');
        assert.match(
          error.message,
          /cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE — .*--web\.listen-address/,
        );
        return true;
      },
    );
  } finally {
    await first.close();
  }
});

test('an address of another machine is an error', async () => {
  await assert.rejects(
    listen(() => {}, '192.0.2.1:0', quiet),
    { errno: 'EADDRNOTAVAIL' },
  );
});

test('closing waits for the answer in progress, and for nothing else', async () => {
  const requests = new EventEmitter();
  const listening = await listen((_, response) => requests.emit('request', response), '127.0.0.1:0', quiet);
  const silent = connect(Number(new URL(listening.url).port), '127.0.0.1');
  const silentEnds = once(silent, 'close');
  const request = once(requests, 'request');
  const answer = fetch(listening.url);
  const [response] = await request;
  const closed = listening.close();
  response.end('done');
  assert.equal(await (await answer).text(), 'done');
  await closed;
  await silentEnds;
  await assert.rejects(fetch(listening.url));
});

test('a client that asks nothing, or reads nothing of its answer, is cut off', async () => {
  const answers = new EventEmitter();
  const body = Buffer.alloc(64 << 20);
  const app = (_: unknown, response: ServerResponse) => {
    response.once('close', () => answers.emit('close', response.writableFinished));
    response.end(body);
  };
  const limits = { headersMs: 100, checkMs: 50, stalledMs: 300 };
  const listening = await listen(app, '127.0.0.1:0', quiet, { limits });
  const port = Number(new URL(listening.url).port);
  const silent = connect(port, '127.0.0.1').resume();
  await once(silent, 'close');
  const deaf = connect(port, '127.0.0.1').pause();
  deaf.on('error', () => {});
  deaf.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const [finished] = await once(answers, 'close');
  assert.equal(finished, false);
  deaf.destroy();
  await listening.close();
});

test('all addresses are shown as localhost', async () => {
  const listening = await listen((_request, response) => response.end('x'), ':0', quiet);
  assert.match(listening.url, /^http:\/\/localhost:\d+$/);
  assert.equal(await (await fetch(listening.url)).text(), 'x');
  await listening.close();
});
