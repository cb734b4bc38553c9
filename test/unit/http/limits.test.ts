/** What holds clients off: rates, requests at once, answers that nobody takes, and how it is told of. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { createAnswers } from '../../../src/http/server/answers.ts';
import { createBucket } from '../../../src/http/server/rate-limit.ts';
import { createRefusals } from '../../../src/http/server/refusals.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

test('a bucket has its burst at once, then a token an interval, and never more than its burst', () => {
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

test('who is turned away is counted, and told of once a minute', () => {
  let nowMs = 0;
  const lines: unknown[] = [];
  const log = { ...quiet, warn: (fields: object) => lines.push(fields) };
  const refusals = createRefusals(log, () => nowMs);
  assert.deepEqual(refusals.families(), []);
  for (let i = 0; i < 1000; i++) refusals.count('wrong_credentials', { client: '192.0.2.7' });
  refusals.count('max_requests');
  assert.deepEqual(lines, [
    { reason: 'wrong_credentials', count: 1, client: '192.0.2.7' },
    { reason: 'max_requests', count: 1 },
  ]);
  nowMs = 60_000;
  refusals.count('wrong_credentials');
  assert.deepEqual(lines[2], { reason: 'wrong_credentials', count: 1000 });
  assert.deepEqual(
    refusals.families()[0].samples.map(({ labels, value }) => [labels.reason, value]),
    [
      ['wrong_credentials', 1001],
      ['max_requests', 1],
    ],
  );
});

class FakeResponse extends EventEmitter {
  writableEnded = false;
  writableLength = 0;
  destroyed = false;
  statusCode = 0;
  socket = null;
  setHeader() {}
  end() {
    this.writableEnded = true;
  }
  destroy() {
    this.destroyed = true;
    this.writableLength = 0;
    this.emit('close');
  }
}

test('so many answers are made at once; one that is on its way makes room for the next', () => {
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

test('answers that are not taken are cut off once they hold too much, the eldest first', () => {
  const refusals = createRefusals(quiet);
  const answers = createAnswers(0, refusals, 1000);
  const sent = Array.from({ length: 4 }, (_, i) => {
    const response = new FakeResponse();
    answers.begin(response as unknown as ServerResponse);
    response.end();
    response.writableLength = [0, 400, 400, 400][i];
    return response;
  });
  assert.ok(sent.every(({ destroyed }) => !destroyed));
  assert.ok(answers.begin(new FakeResponse() as unknown as ServerResponse));
  assert.deepEqual(
    sent.map(({ destroyed }) => destroyed),
    [false, true, false, false],
  );
  assert.equal(refusals.families()[0].samples[0].labels.reason, 'slow_reader');
});
