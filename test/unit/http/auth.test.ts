import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Asker, createAuthenticator, credentialsOf } from '../../../src/http/server/auth.ts';
import { createHasher, type Hasher } from '../../../src/http/server/auth-hasher.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A hash from exporter-toolkit's documentation, made by htpasswd. */
const ALICE = '$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze';
const hashOf = (user: string, cost = 10) => `$2b$${String(cost).padStart(2, '0')}$${user.padEnd(53, '.')}`;

/** A hasher that answers when the test tells it to. The right password is part of the hash. */
function slowHasher() {
  const questions: { password: string; hash: string; answer(): void; fail(): void }[] = [];
  let most = 0;
  let open = 0;
  const hasher: Hasher = {
    compare: (password, hash) => {
      most = Math.max(most, ++open);
      return new Promise((resolve, reject) => {
        const done = (settle: () => void) => () => {
          open--;
          settle();
        };
        questions.push({
          password,
          hash,
          answer: done(() => resolve(hash.slice(7).startsWith(password))),
          fail: done(() => reject(new Error('dead'))),
        });
      });
    },
    prepare: () => {},
    close: () => {},
  };
  return { hasher, questions, most: () => most };
}

const asker = (more: Partial<Asker> = {}): Asker => ({ network: 'n', failures: 0, onGone() {}, ...more });
const settled = () => sleep(5);

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !condition() && performance.now() < end; ) await sleep(1);
  assert.ok(condition());
}

test('credentials are a name up to the first colon and a password', () => {
  const header = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  assert.deepEqual(credentialsOf(header('alice:se:cret')), { user: 'alice', password: 'se:cret' });
  assert.deepEqual(credentialsOf(header('ä:ö')), { user: 'ä', password: 'ö' });
  assert.deepEqual(credentialsOf(header(':')), { user: '', password: '' });
  assert.deepEqual(credentialsOf(header('a:').replace('Basic ', 'bASIC  ')), { user: 'a', password: '' });
  for (const none of [
    undefined,
    '',
    'Basic',
    'Basic ',
    'Bearer abc',
    header('alice'),
    'Basic a:b',
    'Basic =',
  ]) {
    assert.equal(credentialsOf(none), undefined, none);
  }
});

test('a result is remembered until the hash changes', async () => {
  const { hasher, questions } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([['alice', hashOf('secret')]]);
  const right = { user: 'alice', password: 'secret' };
  const wrong = { user: 'alice', password: 'guess' };
  assert.equal(auth.known(right, users), undefined);
  const look = auth.look(right, users, asker());
  questions[0].answer();
  assert.equal(await look, 'right');
  assert.equal(auth.known(right, users), 'right');
  const second = auth.look(wrong, users, asker());
  questions[1].answer();
  assert.equal(await second, 'wrong');
  assert.equal(auth.known(wrong, users), 'wrong');
  assert.equal(auth.known(right, new Map([['alice', hashOf('other')]])), undefined);
  assert.equal(auth.known(right, new Map()), undefined);
  auth.close();
});

test('a flood of wrong passwords does not displace known users', async () => {
  const hasher: Hasher = { compare: async (password) => password === 'secret', prepare() {}, close() {} };
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([['alice', hashOf('secret')]]);
  const right = { user: 'alice', password: 'secret' };
  assert.equal(await auth.look(right, users, asker()), 'right');
  for (let i = 0; i < 1500; i++) {
    assert.equal(await auth.look({ user: 'alice', password: `x${i}` }, users, asker()), 'wrong');
  }
  assert.equal(auth.known(right, users), 'right');
  // The number of remembered wrong passwords is limited: the oldest is forgotten.
  assert.equal(auth.known({ user: 'alice', password: 'x0' }, users), undefined);
  assert.equal(auth.known({ user: 'alice', password: 'x1499' }, users), 'wrong');
  auth.close();
});

test('passwords are checked one at a time, and equal ones once for all that bring them', async () => {
  const { hasher, questions, most } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([['alice', hashOf('secret')]]);
  const looks = ['a', 'b', 'secret', 'secret', 'a'].map((password) =>
    auth.look({ user: 'alice', password }, users, asker()),
  );
  for (let i = 0; i < 3; i++) {
    await until(() => questions.length > i);
    await settled();
    assert.equal(questions.length, i + 1);
    questions[i].answer();
  }
  assert.deepEqual(await Promise.all(looks), ['wrong', 'wrong', 'right', 'right', 'wrong']);
  assert.equal(most(), 1);
  auth.close();
});

test('an unknown name costs as much as a known one, and never comes in', async () => {
  const { hasher, questions } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([
    ['alice', hashOf('secret', 8)],
    ['bob', hashOf('secret', 12)],
  ]);
  const costs = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const look = auth.look({ user: `nobody${i}`, password: '' }, users, asker({ network: `${i}` }));
    await until(() => questions.length > i);
    assert.match(questions[i].hash, /^\$2b\$(08|12)\$[./A-Za-z0-9]{53}$/);
    costs.add(questions[i].hash.slice(4, 6));
    // The verdict must be wrong even if the hasher says that the password matches.
    questions[i].answer();
    assert.equal(await look, 'wrong');
  }
  assert.deepEqual([...costs].sort(), ['08', '12']);
  // For an unknown user name, the cost of the hash must be the same each time.
  const again = new Set<string>();
  for (let i = 40; i < 44; i++) {
    void auth.look({ user: 'nobody', password: `${i}` }, users, asker());
    await until(() => questions.length > i);
    again.add(questions[i].hash);
    questions[i].answer();
  }
  assert.equal(again.size, 1);
  auth.close();
});

test('a client above the limit is refused at once, and one that leaves is not checked', async () => {
  const { hasher, questions } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([['alice', hashOf('secret')]]);
  const verdicts: string[] = [];
  let leave = () => {};
  for (let i = 0; i < 40; i++) {
    const onGone = (forget: () => void) => {
      if (i === 1) leave = forget;
    };
    void auth
      .look({ user: 'alice', password: `x${i}` }, users, asker({ onGone }))
      .then((verdict) => verdicts.push(verdict));
  }
  await settled();
  // One password is being checked and 32 wait, so the other seven are refused.
  assert.deepEqual(verdicts, Array(7).fill('busy'));
  leave();
  questions[0].answer();
  await until(() => questions.length > 1);
  assert.equal(questions[1].password, 'x2');
  auth.close();
});

/** Passwords of a flood of guesses, and of a login that arrives during the flood, in the order of their checks. */
async function orderOf(t: TestContext, flood: (i: number) => [name: string, asker: Partial<Asker>]) {
  const { hasher, questions } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  t.after(() => auth.close());
  const users = new Map([['newcomer', hashOf('secret')]]);
  let guesses = 0;
  const guess = () => {
    const [user, who] = flood(guesses);
    void auth.look({ user, password: `guess${guesses++}` }, users, asker(who));
  };
  const answer = async () => {
    const before = questions.length;
    questions[before - 1].answer();
    await until(() => questions.length > before);
  };
  for (let i = 0; i < 32; i++) guess();
  // A guess has been checked before the login arrives.
  await answer();
  guess();
  const underWay = questions.length;
  const verdict = auth.look({ user: 'newcomer', password: 'secret' }, users, asker({ network: 'elsewhere' }));
  const sameAddress = auth.look({ user: 'newcomer', password: 'typo' }, users, asker());
  while (!['secret', 'typo'].every((password) => questions.some((one) => one.password === password))) {
    guess();
    await answer();
  }
  assert.equal(await verdict, 'right');
  void sameAddress;
  const placeOf = (password: string) => questions.findIndex((one) => one.password === password) - underWay;
  return { elsewhere: placeOf('secret'), sameAddress: placeOf('typo') };
}

test('a first login from another address waits only for the password in progress, whatever is guessed', async (t) => {
  const oneName = await orderOf(t, () => ['guessed', {}]);
  assert.deepEqual(oneName, { elsewhere: 0, sameAddress: 1 });
  const failing = await orderOf(t, (i) => [`name${i}`, { failures: 1 }]);
  assert.deepEqual(failing, { elsewhere: 0, sameAddress: 1 });
});

test('on an address that guesses with ever new names it waits for those before it, and for none that comes later', async (t) => {
  const { elsewhere, sameAddress } = await orderOf(t, (i) => [`name${i}`, {}]);
  assert.equal(elsewhere, 0);
  assert.ok(sameAddress <= 32, `${sameAddress}`);
});

test('if the thread dies, the password is neither accepted nor rejected, and the next one is checked', async () => {
  const { hasher, questions } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([['alice', hashOf('secret')]]);
  const right = { user: 'alice', password: 'secret' };
  const look = auth.look(right, users, asker());
  questions[0].fail();
  assert.equal(await look, 'busy');
  assert.equal(auth.known(right, users), undefined);
  const again = auth.look(right, users, asker());
  await until(() => questions.length > 1);
  questions[1].answer();
  assert.equal(await again, 'right');
  auth.close();
});

test('a check that the end of the agent cuts off is no error, and no other check begins', async () => {
  const { hasher, questions } = slowHasher();
  const errors: string[] = [];
  const log = { ...quiet, error: (_fields: object, message: string) => errors.push(message) };
  const auth = createAuthenticator(log, { ...hasher, close: () => questions[0].fail() });
  const users = new Map([['alice', hashOf('secret')]]);
  const look = auth.look({ user: 'alice', password: 'secret' }, users, asker());
  void auth.look({ user: 'alice', password: 'other' }, users, asker({ network: 'elsewhere' }));
  auth.close();
  assert.equal(await look, 'busy');
  await settled();
  assert.deepEqual(errors, []);
  assert.equal(questions.length, 1);
});

test('the thread compares as htpasswd, Go and others do, and ends when it is not needed', async () => {
  const hasher = createHasher(50);
  assert.equal(await hasher.compare('alice123', ALICE), true);
  assert.equal(await hasher.compare('alice124', ALICE), false);
  for (const revision of ['2a', '2b']) {
    assert.equal(await hasher.compare('alice123', ALICE.replace('2y', revision)), true);
  }
  const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
  const running = threads();
  await until(() => threads() < running);
  assert.equal(await hasher.compare('alice123', ALICE), true);
  const cut = hasher.compare('alice123', ALICE);
  hasher.close();
  await assert.rejects(cut);
});

test('a network waits after a wrong password, whatever other networks send meanwhile', async () => {
  const { hasher, questions } = slowHasher();
  const auth = createAuthenticator(quiet, hasher);
  const users = new Map([['alice', hashOf('secret')]]);
  const guess = (password: string, network: string) =>
    auth.look({ user: 'alice', password }, users, asker({ network }));
  const first = guess('a1', 'a');
  await sleep(200);
  questions[0].answer();
  assert.equal(await first, 'wrong');
  const answeredMs = performance.now();
  const other = guess('b1', 'b');
  void guess('a2', 'a');
  questions[1].answer();
  assert.equal(await other, 'wrong');
  await until(() => questions.length === 3);
  assert.ok(performance.now() - answeredMs >= 190, 'the network waits as long as its check took');
  auth.close();
});
