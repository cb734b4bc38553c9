import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Asking, createFairQueue, networkOf } from '../../../src/http/server/auth-queue.ts';

const LIMITS = { total: 128, perNetwork: 32 };
const ask = (network: string, user = 'u', failures = 0): Asking => ({ network, user, failures });

test('one address keeps its order of arrival', () => {
  const queue = createFairQueue(LIMITS);
  const all = [ask('a'), ask('a'), ask('a')];
  for (const one of all) assert.equal(queue.push(one), undefined);
  assert.deepEqual([queue.next(), queue.next(), queue.next(), queue.next()], [...all, undefined]);
});

test('a newcomer is next while another address floods', () => {
  const queue = createFairQueue(LIMITS);
  for (let i = 0; i < 30; i++) queue.push(ask('flood', `user${i}`));
  queue.next();
  const good = ask('good');
  queue.push(good);
  assert.equal(queue.next(), good);
});

test('on the same address fresh connections go before those that have failed, and names take turns', () => {
  const queue = createFairQueue(LIMITS);
  for (let i = 0; i < 5; i++) queue.push(ask('a', 'alice', 3));
  const fresh = ask('a', 'alice', 0);
  queue.push(fresh);
  assert.equal(queue.next(), fresh);
  for (let i = 0; i < 5; i++) queue.push(ask('a', 'alice', 0));
  const other = ask('a', 'bob', 0);
  queue.push(other);
  assert.equal(queue.next(), other);
});

test('guesses with ever new names on the same address do not delay a name that was tried before', () => {
  const queue = createFairQueue(LIMITS);
  queue.push(ask('a', 'alice'));
  queue.next();
  for (let i = 0; i < 31; i++) queue.push(ask('a', `before${i}`));
  const alice = ask('a', 'alice');
  queue.push(alice);
  let turns = 1;
  for (; queue.next() !== alice; turns++) queue.push(ask('a', `after${turns}`));
  assert.ok(turns <= 64 + 32, `${turns}`);
});

test('a full queue drops the one that has failed most, else the newcomer', () => {
  const queue = createFairQueue({ total: 128, perNetwork: 3 });
  const [first, guesser, third, good, late] = [
    ask('a'),
    ask('a', 'u', 2),
    ask('a'),
    ask('a', 'v'),
    ask('a', 'w'),
  ];
  for (const one of [first, guesser, third]) assert.equal(queue.push(one), undefined);
  assert.equal(queue.push(good), guesser);
  assert.equal(queue.push(late), late);
  assert.equal(queue.push(ask('b')), undefined);
});

test('above the total limit the most crowded address drops one', () => {
  const queue = createFairQueue({ total: 4, perNetwork: 3 });
  const crowd = [ask('a'), ask('a'), ask('a')];
  for (const one of [...crowd, ask('b')]) queue.push(one);
  assert.equal(queue.push(ask('c')), crowd[2]);
  assert.equal(queue.size, 4);
});

test('whatever comes, no address waits for more than one turn of each other', () => {
  const askings = fc.array(
    fc.record({
      network: fc.constantFrom('a', 'b', 'c', 'd'),
      user: fc.constantFrom('u', 'v'),
      failures: fc.nat(2),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(askings, fc.array(fc.boolean(), { maxLength: 60 }), (items, steps) => {
      const queue = createFairQueue<Asking>(LIMITS);
      const waiting = new Map<Asking, string[]>();
      const serve = () => {
        const served = queue.next();
        assert.equal(served === undefined, waiting.size === 0);
        if (served === undefined) return;
        waiting.delete(served);
        for (const [one, others] of waiting) if (one.network !== served.network) others.push(served.network);
        // Between two turns of a request's own network, each other network may have at most one turn.
        for (const [one, others] of waiting) {
          if (one.network === served.network) others.length = 0;
          assert.equal(new Set(others).size, others.length, `${one.network} waits for ${others}`);
        }
      };
      for (const [i, item] of items.entries()) {
        waiting.set(item, []);
        assert.equal(queue.push(item), undefined);
        if (steps[i]) serve();
      }
      while (queue.size > 0) serve();
      assert.equal(waiting.size, 0);
    }),
  );
});

test('a client that has gone is not served', () => {
  const queue = createFairQueue(LIMITS);
  const [gone, here] = [ask('a'), ask('a')];
  queue.push(gone);
  queue.push(here);
  queue.remove(gone);
  assert.equal(queue.next(), here);
  assert.equal(queue.next(), undefined);
});

test('a network is an IPv4 address, or the upper half of an IPv6 one', () => {
  assert.equal(networkOf('192.0.2.7'), '192.0.2.7');
  assert.equal(networkOf('::ffff:192.0.2.7'), '192.0.2.7');
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(networkOf('2001:db8::6'), '2001:db8:0:0::/64');
  assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(networkOf('::1'), '0:0:0:0::/64');
  assert.equal(networkOf('1:2:3:4:5:6:7::'), '1:2:3:4::/64');
  assert.equal(networkOf(undefined), '');
});
