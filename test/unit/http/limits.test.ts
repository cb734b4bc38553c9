/** The limits for clients: rates, concurrent requests, answers that clients do not read, and their log lines. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { createAnswers } from '../../../src/http/server/answers.ts';
import { createBucket } from '../../../src/http/server/rate-limit.ts';
import { createRefusals } from '../../../src/http/server/refusals.ts';
import { isSlow, send } from '../../../src/http/server/respond.ts';
import { countedRefusals } from '../../support/refusals.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

test('a bucket has its burst at once, then a token per interval, and never more than its burst', () => {
  let nowMs = 0;
  const bucket = createBucket({ intervalNs: 500e6, burst: 3 }, () => nowMs);
  const take = (times: number) => Array.from({ length: times }, () => bucket.take());
  assert.deepEqual(take(4), [true, true, true, false]);
  nowMs = 499;
  assert.deepEqual(take(1), [false]);
  nowMs = 500;
  assert.deepEqual(take(2), [true, false]);
  nowMs = 1e9;
  assert.deepEqual(take(4), [true, true, true, false]);
});

test('refused clients are counted, and logged once a minute', () => {
  let nowMs = 0;
  const lines: unknown[] = [];
  const log = { ...quiet, warn: (fields: object) => lines.push(fields) };
  const { refusals, totals } = countedRefusals(log, () => nowMs);
  for (let i = 0; i < 1000; i++) refusals.count('wrong_credentials', { client: '192.0.2.7' });
  refusals.count('max_requests');
  assert.deepEqual(lines, [
    { reason: 'wrong_credentials', count: 1, client: '192.0.2.7' },
    { reason: 'max_requests', count: 1 },
  ]);
  nowMs = 60_000;
  refusals.count('wrong_credentials');
  assert.deepEqual(lines[2], { reason: 'wrong_credentials', count: 1000 });
  assert.deepEqual(totals, { wrong_credentials: 1001, max_requests: 1 });
});

class FakeResponse extends EventEmitter {
  headersSent = false;
  destroyed = false;
  statusCode = 0;
  socket = null;
  req = { method: 'GET' };
  headers: Record<string, unknown> = {};
  setHeader(name: string, value: unknown) {
    this.headers[name] = value;
  }
  removeHeader(name: string) {
    delete this.headers[name];
  }
  /** Returns false, as if the client read nothing. */
  write() {
    this.headersSent = true;
    return false;
  }
  end() {
    this.headersSent = true;
  }
  destroy() {
    this.destroyed = true;
    this.emit('close');
  }
}

test('the number of concurrent answers is limited; one that is being sent makes room for the next', () => {
  const answers = createAnswers(2, createRefusals(quiet));
  const begin = () => {
    const response = new FakeResponse();
    return { response, begun: answers.begin(response as unknown as ServerResponse) };
  };
  const [first, second, third] = [begin(), begin(), begin()];
  assert.deepEqual([first.begun, second.begun, third.begun], [true, true, false]);
  assert.equal(third.response.statusCode, 503);
  first.response.end();
  assert.equal(begin().begun, true);
  second.response.destroy();
  assert.equal(begin().begun, true);
  assert.equal(begin().begun, false);
  const unlimited = createAnswers(0, createRefusals(quiet));
  for (let i = 0; i < 1000; i++) assert.ok(unlimited.begin(new FakeResponse() as unknown as ServerResponse));
});

const KIB = 1024;
/** Returns a function that sends bodies of these sizes. Equal sizes are the same body. */
function sending(maxHeldBytes: number) {
  const { refusals, totals } = countedRefusals(quiet);
  const slow = new Set<ServerResponse>();
  const answers = createAnswers(0, refusals, maxHeldBytes, (response) => slow.has(response));
  const send = (body: Buffer) => {
    const response = new FakeResponse();
    answers.begin(response as unknown as ServerResponse);
    response.setHeader('Content-Encoding', 'gzip');
    answers.send(response as unknown as ServerResponse, 200, 'text/plain', body);
    return response;
  };
  const slowDown = (response: FakeResponse) => slow.add(response as unknown as ServerResponse);
  const reasons = () => ({ ...totals });
  return { send, slowDown, reasons, room: answers.room };
}

test('if answers hold all the memory, the next one is a 503 before its first byte, and none is cut off', () => {
  const { send, reasons } = sending(1000 * KIB);
  const bodies = [send(Buffer.alloc(400 * KIB)), send(Buffer.alloc(500 * KIB))];
  const refused = send(Buffer.alloc(200 * KIB));
  assert.equal(refused.statusCode, 503);
  assert.equal(refused.headers['Retry-After'], 5);
  assert.equal(refused.headers['Content-Encoding'], undefined);
  assert.ok(bodies.every(({ destroyed, statusCode }) => !destroyed && statusCode === 200));
  assert.deepEqual(reasons(), { memory: 1 });
  assert.equal(send(Buffer.alloc(10 * KIB)).statusCode, 200, 'a small answer needs no memory');
  bodies[0].emit('close');
  assert.equal(send(Buffer.alloc(200 * KIB)).statusCode, 200);
});

test('a body that many clients read counts once, until the last has read it', () => {
  const { send } = sending(1000 * KIB);
  const shared = Buffer.alloc(900 * KIB);
  const takers = Array.from({ length: 50 }, () => send(shared));
  assert.ok(takers.every(({ statusCode }) => statusCode === 200));
  for (const taker of takers.slice(1)) taker.emit('close');
  assert.equal(send(Buffer.alloc(200 * KIB)).statusCode, 503);
  takers[0].emit('close');
  assert.equal(send(Buffer.alloc(200 * KIB)).statusCode, 200);
});

test('one answer is sent however large it is', () => {
  const { send } = sending(1000 * KIB);
  assert.equal(send(Buffer.alloc(3000 * KIB)).statusCode, 200);
  assert.equal(send(Buffer.alloc(3000 * KIB)).statusCode, 503);
});

test('slow clients make room, the oldest first, but not if others read the same body', () => {
  const { send, slowDown, reasons } = sending(1000 * KIB);
  const shared = Buffer.alloc(300 * KIB);
  const [sharing, good, oldest, older, young] = [
    send(shared),
    send(shared),
    send(Buffer.alloc(200 * KIB)),
    send(Buffer.alloc(200 * KIB)),
    send(Buffer.alloc(200 * KIB)),
  ];
  for (const response of [sharing, oldest, older, young]) slowDown(response);
  assert.equal(send(Buffer.alloc(450 * KIB)).statusCode, 200);
  assert.deepEqual(
    [sharing, good, oldest, older, young].map(({ destroyed }) => destroyed),
    [false, false, true, true, false],
  );
  assert.deepEqual(reasons(), { slow_reader: 2 });
});

test('a scrape waits until another answer has been sent', async () => {
  const { send, room } = sending(1000 * KIB);
  const first = send(Buffer.alloc(900 * KIB));
  let steps = '';
  const waits = room(200 * KIB).then(() => {
    steps += 'made';
  });
  await room(10 * KIB);
  steps += 'taken ';
  first.emit('close');
  await waits;
  assert.equal(steps, 'taken made');
});

test('a client is slow if it reads less than a piece of its answer in five seconds', () => {
  const response = new FakeResponse();
  let take = () => {};
  response.write = ((_piece: Buffer, onTaken: () => void) => {
    take = onTaken;
  }) as never;
  const asSent = response as unknown as ServerResponse;
  assert.equal(isSlow(asSent, Number.POSITIVE_INFINITY), false, 'there is no answer yet');
  send(asSent, 200, 'text/plain', Buffer.alloc(1000 * KIB));
  const sentMs = performance.now();
  assert.equal(isSlow(asSent, sentMs), false);
  assert.equal(isSlow(asSent, sentMs + 5000), true);
  while (performance.now() < sentMs + 2);
  take();
  assert.equal(isSlow(asSent, sentMs + 5001), false);
});
