import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lossOf, makeLossLedger, NOTHING_LOST } from '../../../src/agent/plan/loss-ledger.ts';
import type { BufferStats } from '../../../src/model/source.ts';

const stats = (counts: Partial<BufferStats> = {}): BufferStats => ({
  ...{ cpu: 0, entries: 0, overrun: 0, commitOverrun: 0, droppedEvents: 0, readEvents: 0, bytes: 0 },
  ...counts,
});
const own = (events: number, givenUp = 0) => ({ events, givenUp });

describe('the account of losses', () => {
  test('is even while the agent reads all that is read', () => {
    const ledger = makeLossLedger();
    assert.equal(ledger.look(0, 7, own(0)), 'even', 'what was read before it began does not count');
    assert.equal(ledger.look(0, 107, own(100)), 'even');
    assert.equal(ledger.look(0, 207, own(200)), 'even');
    assert.deepEqual(ledger.add(0, stats()), NOTHING_LOST);
  });

  test('a surplus was read by somebody else, and counts once', () => {
    const ledger = makeLossLedger();
    ledger.look(0, 0, own(0));
    assert.equal(ledger.look(0, 130, own(100)), 'taken');
    assert.equal(ledger.look(0, 230, own(200)), 'even');
    assert.equal(ledger.look(0, 245, own(210)), 'taken');
    assert.equal(ledger.add(0, stats()).taken, 35);
  });

  test('a count that is lower than what was read has started again at zero', () => {
    const ledger = makeLossLedger();
    ledger.look(0, 0, own(0));
    ledger.look(0, 100, own(100));
    assert.equal(ledger.look(0, 20, own(120)), 'cleared');
    assert.equal(ledger.look(0, 50, own(150)), 'even');
    assert.equal(ledger.look(0, 60, own(150)), 'taken');
    assert.deepEqual(ledger.add(0, stats()), { ...NOTHING_LOST, cleared: 1, taken: 10 });
  });

  test('events of a page that could not be decoded were not read by somebody else', () => {
    const ledger = makeLossLedger();
    ledger.look(0, 0, own(0));
    assert.equal(ledger.look(0, 100, own(60, 1)), 'even');
    assert.equal(ledger.look(0, 200, own(160, 1)), 'even');
    assert.equal(ledger.add(0, stats()).taken, 0);
  });

  test('no sum falls when the kernel starts again at zero', () => {
    const ledger = makeLossLedger();
    assert.equal(ledger.add(0, stats({ overrun: 500, droppedEvents: 3 })).overrun, 500);
    assert.equal(ledger.add(0, stats({ overrun: 40 })).overrun, 540);
    assert.equal(ledger.add(0, stats({ overrun: 45 })).overrun, 545);
    assert.equal(ledger.add(0, stats({ overrun: 45 })).dropped, 3);
  });

  test('each CPU has its own account, and an interruption is one for all', () => {
    const ledger = makeLossLedger();
    ledger.look(0, 0, own(0));
    ledger.look(1, 0, own(0));
    ledger.look(1, 5, own(0));
    ledger.pause();
    assert.deepEqual(ledger.add(0, stats()), { ...NOTHING_LOST, paused: 1 });
    assert.deepEqual(ledger.add(1, stats()), { ...NOTHING_LOST, paused: 1, taken: 5 });
  });

  test('a recording that reports no losses has none', () => {
    const reading = { cpu: 2, events: 9, loss: undefined };
    assert.deepEqual(lossOf('events', [reading]), [{ buffer: 'events', cpu: 2, read: 9, ...NOTHING_LOST }]);
  });
});
