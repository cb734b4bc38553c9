import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createShared } from '../../../src/http/server/shared.ts';

test('every caller gets a result that was begun after its request, and few are computed', async () => {
  const steps = fc.array(fc.constantFrom('ask', 'finish', 'fail'), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (todo) => {
      let clock = 0;
      let open = 0;
      let made = 0;
      const running: { finish(): void; fail(): void }[] = [];
      const ask = createShared<number>(() => {
        const begunAt = ++clock;
        made++;
        assert.equal(++open, 1, 'two at once');
        return new Promise((resolve, reject) => {
          const done = (settle: () => void) => () => {
            open--;
            settle();
          };
          running.push({
            finish: done(() => resolve(begunAt)),
            fail: done(() => reject(new Error('failed'))),
          });
        });
      });
      const settled = () => new Promise((resolve) => setImmediate(resolve));
      const requests: Promise<void>[] = [];
      for (const step of todo) {
        if (step === 'ask') {
          const askedAt = ++clock;
          const check = (begunAt: number) => assert.ok(begunAt > askedAt);
          requests.push(ask('x').then(check, (error: Error) => assert.equal(error.message, 'failed')));
        } else running.shift()?.[step]();
        await settled();
      }
      for (let i = 0; i < 3; i++) {
        running.shift()?.finish();
        await settled();
      }
      await Promise.all(requests);
      assert.ok(made <= todo.filter((step) => step !== 'ask').length + 2);
    }),
  );
});

test('kinds do not wait for each other', async () => {
  const begun: string[] = [];
  const ask = createShared(async (kind) => {
    begun.push(kind);
    return kind;
  });
  assert.deepEqual(await Promise.all(['a', 'b', 'a'].map(ask)), ['a', 'b', 'a']);
  assert.deepEqual(begun, ['a', 'b', 'a']);
});
