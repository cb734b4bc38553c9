import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEndSignals } from '../../../src/cli/ending.ts';

test('a repeat within two seconds is the same request, a later signal is another', () => {
  const seen: string[] = [];
  let now = 1000;
  const release = onEndSignals(
    ['SIGTERM', 'SIGINT'],
    { first: (signal) => seen.push(`first ${signal}`), again: (signal) => seen.push(`again ${signal}`) },
    () => now,
  );
  process.emit('SIGTERM', 'SIGTERM');
  for (now of [1000, 1100, 2999]) {
    process.emit('SIGTERM', 'SIGTERM');
    process.emit('SIGINT', 'SIGINT');
  }
  assert.deepEqual(seen, ['first SIGTERM']);
  now = 3001;
  process.emit('SIGINT', 'SIGINT');
  assert.deepEqual(seen, ['first SIGTERM', 'again SIGINT']);
  const listening = process.listenerCount('SIGTERM');
  release();
  assert.equal(process.listenerCount('SIGTERM'), listening - 1);
});
