/** Outcomes of attempts, back-off and waits, with a simulated clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fate } from '../../../src/export/otlp/connection.ts';
import { createSender, type Sender } from '../../../src/export/otlp/send.ts';

const BODY = new Uint8Array([1]);
const TAKEN: Fate = { accepted: true, rejected: 0, message: '' };
const refusal = (reason: string, retryable: boolean, waitMs?: number): Fate => ({
  accepted: false,
  reason,
  retryable,
  ...(waitMs === undefined ? {} : { waitMs }),
});

interface Tried {
  sender: Sender<Uint8Array>;
  /** When attempts were made, and how long they were allowed to take. */
  attempts: { atMs: number; timeoutMs: number }[];
  clock: { nowMs: number };
}

/** `answers`: the outcome of each attempt; the last one repeats. Each attempt takes `tookMs`. */
function senderOf(answers: readonly Fate[], { timeoutMs = 10_000, tookMs = 0, random = 0.5 } = {}): Tried {
  const clock = { nowMs: 5000 };
  const attempts: Tried['attempts'] = [];
  const exporter = {
    attempt: async (_: Uint8Array, within: number) => {
      attempts.push({ atMs: clock.nowMs - 5000, timeoutMs: within });
      clock.nowMs += Math.min(tookMs, within);
      return answers[Math.min(attempts.length, answers.length) - 1];
    },
    close: () => {},
  };
  const wait = async (ms: number, signal: AbortSignal) => {
    if (signal.aborted) return false;
    clock.nowMs += ms;
    return true;
  };
  const sender = createSender(exporter, timeoutMs, { now: () => clock.nowMs, wait }, () => random);
  return { sender, attempts, clock };
}

test('accepted data is sent once', async () => {
  const { sender, attempts } = senderOf([TAKEN]);
  assert.deepEqual(await sender.send(BODY, 30_000), TAKEN);
  assert.deepEqual(attempts, [{ atMs: 0, timeoutMs: 10_000 }]);
});

test('data that is refused for good is not sent again', async () => {
  const { sender, attempts } = senderOf([refusal('HTTP 400', false)]);
  assert.deepEqual(await sender.send(BODY, 30_000), {
    accepted: false,
    reason: 'HTTP 400',
    retryable: false,
  });
  assert.equal(attempts.length, 1);
});

test('a temporary failure is tried again with growing pauses, as long as there is time', async () => {
  const { sender, attempts } = senderOf([refusal('HTTP 503', true)]);
  assert.deepEqual(await sender.send(BODY, 30_000), { accepted: false, reason: 'HTTP 503' });
  const pauses = attempts.slice(1).map(({ atMs }, i) => Math.round(atMs - attempts[i].atMs));
  assert.deepEqual(pauses, [1000, 1600, 2560, 4096, 6554, 10_000]);
});

test('an attempt has no more time than is left', async () => {
  const { sender, attempts } = senderOf([refusal('no answer', true)], { tookMs: 60_000, timeoutMs: 10_000 });
  await sender.send(BODY, 15_000);
  assert.deepEqual(
    attempts.map(({ timeoutMs }) => timeoutMs),
    [10_000, 4000],
  );
});

test('a wait that the backend asks for is observed, if there is time for it', async () => {
  const { sender, attempts } = senderOf([refusal('HTTP 429', true, 7000), TAKEN]);
  assert.deepEqual(await sender.send(BODY, 30_000), TAKEN);
  assert.deepEqual(
    attempts.map(({ atMs }) => atMs),
    [0, 7000],
  );
});

test('a longer wait applies to the pushes that follow', async () => {
  const { sender, attempts, clock } = senderOf([refusal('HTTP 429', true, 120_000), TAKEN]);
  assert.deepEqual(await sender.send(BODY, 30_000), { accepted: false, reason: 'HTTP 429' });
  assert.equal(clock.nowMs, 5000, 'and nobody waits for nothing');
  clock.nowMs += 60_000;
  const early = await sender.send(BODY, 30_000);
  assert.deepEqual(early, { accepted: false, reason: 'backend asked to retry in 60 s' });
  clock.nowMs += 50_000;
  assert.deepEqual(await sender.send(BODY, 30_000), TAKEN);
  assert.deepEqual(
    attempts.map(({ atMs }) => atMs),
    [0, 120_000],
  );
});

test('no backend silences a node for longer than five minutes', async () => {
  const { sender, clock } = senderOf([refusal('HTTP 429', true, 1e12), TAKEN]);
  await sender.send(BODY, 30_000);
  clock.nowMs += 300_000;
  assert.deepEqual(await sender.send(BODY, 30_000), TAKEN);
});

test('a backend that allows an immediate retry is not hammered', async () => {
  const { sender, attempts } = senderOf([refusal('HTTP 429', true, 0)]);
  await sender.send(BODY, 30_000);
  assert.equal(attempts.length, 7);
});

test('pauses are spread, so that a thousand nodes do not come back at once', async () => {
  for (const [random, pause] of [
    [0, 800],
    [1, 1200],
  ] as const) {
    const { sender, attempts } = senderOf([refusal('', true), TAKEN], { random });
    await sender.send(BODY, 30_000);
    assert.equal(Math.round(attempts[1].atMs), pause);
  }
});

test('in a hurry there is one attempt', async () => {
  const { sender, attempts } = senderOf([refusal('HTTP 503', true)]);
  sender.end(30_000);
  assert.deepEqual(await sender.send(BODY, 30_000), { accepted: false, reason: 'HTTP 503' });
  assert.equal(attempts.length, 1);
});

test('whatever the backend does, a push ends in time', async () => {
  const answer = fc.oneof(
    fc.constant(TAKEN),
    fc.boolean().map((retryable) => refusal('x', retryable)),
    fc.integer({ min: 0, max: 1e6 }).map((waitMs) => refusal('x', true, waitMs)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 60_000 }),
      fc.integer({ min: 0, max: 20_000 }),
      async (answers, withinMs, tookMs) => {
        const { sender, attempts, clock } = senderOf(answers, { tookMs });
        for (let push = 0; push < 4; push++) {
          const beganMs = clock.nowMs;
          const before = attempts.length;
          const fate = await sender.send(BODY, withinMs);
          assert.ok(clock.nowMs - beganMs <= withinMs + 1, `${clock.nowMs - beganMs} ms of ${withinMs}`);
          if (fate.accepted) assert.equal(answers[Math.min(attempts.length, answers.length) - 1], TAKEN);
          assert.ok(attempts.length - before <= 60);
        }
      },
    ),
    { numRuns: 200 },
  );
});
