/**
 * Converts timestamps of a simulated trace clock to a simulated wall clock, exactly to the nanosecond. The wall clock
 * can also be set in between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeWallClock } from '../../../src/agent/slow/wall-clock.ts';

const MS = 1_000_000n;
const S = 1_000_000_000n;
/** Duration of one read of the trace clock. */
const LOOK_NS = 100n;
/** Accepted error: one or two reads of the trace clock are between two reads of the wall clock. */
const KNOWN_TO_NS = 2 * Number(LOOK_NS);

/** `apartNs`: time of the wall clock when the trace clock was 0. */
function clocks(apartNs: bigint, startNs = 7_654_321_987_654n) {
  let nowNs = startNs;
  const state = { apartNs, looks: 0 };
  return {
    state,
    pass: (ns: bigint) => {
      nowNs += ns;
    },
    traceNow: () => {
      nowNs += LOOK_NS;
      state.looks++;
      return Number(nowNs);
    },
    wallMs: () => Number((nowNs + state.apartNs) / MS),
    now: () => nowNs,
  };
}

const wallNs = ([seconds, ns]: readonly [number, number]) => BigInt(seconds) * S + BigInt(ns);

test('the wall-clock time of a stamp', () => {
  const apartNs = 1_764_000_000_123_456_789n;
  const { traceNow, wallMs } = clocks(apartNs);
  const wall = makeWallClock(traceNow, wallMs);
  for (const stampNs of [1n, 999_999n, 7_654_321_987_654n, 7_654_999_999_999n, 9_000_000_000_000_001n]) {
    const [seconds, ns] = wall.at(Number(stampNs));
    assert.ok(Number.isInteger(ns) && ns >= 0 && ns < 1e9, String(ns));
    const apart = Number(wallNs([seconds, ns]) - (stampNs + apartNs));
    assert.ok(Math.abs(apart) <= KNOWN_TO_NS, `${stampNs}: ${apart} ns off`);
  }
});

test('times between stamps are the same on both, to the nanosecond', () => {
  const { traceNow, wallMs, now } = clocks(1_764_000_000_999_999_999n);
  const wall = makeWallClock(traceNow, wallMs);
  const startNs = now();
  const start = wallNs(wall.at(Number(startNs)));
  for (const ns of [1n, 2n, 999n, MS - 1n, MS, MS + 1n, S - 1n, S, 3600n * S + 7n])
    assert.equal(wallNs(wall.at(Number(startNs + ns))) - start, ns);
});

test('a step of the wall clock is followed at the next refresh, forwards and backwards', () => {
  const { state, traceNow, wallMs, now, pass } = clocks(1_764_000_000_000_000_000n);
  const wall = makeWallClock(traceNow, wallMs);
  for (const stepNs of [3600n * S, -7200n * S, 20n * MS, -20n * MS]) {
    state.apartNs += stepNs;
    pass(S);
    wall.refresh();
    const apart = Number(wallNs(wall.at(Number(now()))) - (now() + state.apartNs));
    assert.ok(Math.abs(apart) <= KNOWN_TO_NS, `${stepNs}: ${apart} ns off`);
  }
});

test('it is measured again now and then, because a wall clock can be slewed, but not at every refresh', () => {
  const { state, traceNow, wallMs, now, pass } = clocks(1_764_000_000_000_000_000n);
  const wall = makeWallClock(traceNow, wallMs);
  state.apartNs += MS;
  pass(S);
  state.looks = 0;
  wall.refresh();
  assert.equal(state.looks, 1);
  pass(10n * S);
  wall.refresh();
  const apart = Number(wallNs(wall.at(Number(now()))) - (now() + state.apartNs));
  assert.ok(Math.abs(apart) <= KNOWN_TO_NS, `${apart} ns off`);
});

test('a thread that loses the CPU at any read measures as exactly', () => {
  const apartNs = 1_764_000_000_123_456_789n;
  for (const isPause of [
    (read: number) => read === 1,
    (read: number) => read === 2,
    (read: number) => read % 15_000 === 0,
  ]) {
    const { traceNow, wallMs, now, pass } = clocks(apartNs);
    let reads = 0;
    const wall = makeWallClock(traceNow, () => {
      const ms = wallMs();
      if (isPause(++reads)) pass(4n * MS);
      return ms;
    });
    const apart = Number(wallNs(wall.at(Number(now()))) - (now() + apartNs));
    assert.ok(Math.abs(apart) <= KNOWN_TO_NS, `${apart} ns off`);
  }
});

test('a wall clock that stands still delays nobody', () => {
  const { traceNow } = clocks(0n);
  const wall = makeWallClock(traceNow, () => 1_764_000_000_000);
  wall.refresh();
  assert.equal(wall.at(1e9).length, 2);
});
