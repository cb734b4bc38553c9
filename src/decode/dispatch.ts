/**
 * Calls the handlers of event types. Each of the first 12 handlers has its own call site, so that V8 can inline the
 * handler. A *slot* is the position of an event type in the list of handlers, counted from 1.
 */
import type { EventHandler, EventRecord, UsualForm, UsualPair } from '../model/record.ts';

const OWN_SITES = 12;
/** Slot of event types without a handler. */
export const UNHANDLED = 0;

export interface Dispatcher {
  /** The slot of each `common_type` (16 bits). */
  readonly slots: Uint16Array;
  /** Per slot: minimum length in bytes of a record that contains all fields that the handler reads. */
  readonly minLengths: Uint16Array;
  /** Per slot: number of handled records. */
  readonly calls: Float64Array;
  /** Calls the handler's fast path. If this returns false, the caller must call `call()`. */
  usual(slot: number, size: number, ...record: Parameters<UsualForm>): boolean;
  call(slot: number, record: EventRecord): void;
  readonly pair: DispatchedPair;
}

/** Two event types and their common fast path (`EventHandler.pair`). */
export interface DispatchedPair {
  /** Slot of the start record's type; -1 if there is no pair. */
  first: number;
  second: number;
  /** The `common_type` of both records. */
  firstId: number;
  secondId: number;
  path: UsualPair;
}

/** A handled event type; `id` is its `common_type`. Callers list frequent types first. */
export interface HandledType {
  id: number;
  handler: EventHandler;
  minLength: number;
}

export function makeDispatcher(types: readonly HandledType[]): Dispatcher {
  const slots = new Uint16Array(65536).fill(UNHANDLED);
  const minLengths = new Uint16Array(types.length + 1);
  const calls = new Float64Array(types.length + 1);
  types.forEach((type, i) => {
    slots[type.id] = i + 1;
    minLengths[i + 1] = type.minLength;
  });
  const none: EventHandler = () => {};
  const site = (i: number): EventHandler => types[i]?.handler ?? none;
  const [h0, h1, h2, h3, h4, h5] = [site(0), site(1), site(2), site(3), site(4), site(5)];
  const [h6, h7, h8, h9, h10, h11] = [site(6), site(7), site(8), site(9), site(10), site(11)];
  const rest = types.slice(OWN_SITES).map((type) => type.handler);
  const call = (slot: number, record: EventRecord): void => {
    calls[slot]++;
    switch (slot) {
      case 1:
        h0(record);
        return;
      case 2:
        h1(record);
        return;
      case 3:
        h2(record);
        return;
      case 4:
        h3(record);
        return;
      case 5:
        h4(record);
        return;
      case 6:
        h5(record);
        return;
      case 7:
        h6(record);
        return;
      case 8:
        h7(record);
        return;
      case 9:
        h8(record);
        return;
      case 10:
        h9(record);
        return;
      case 11:
        h10(record);
        return;
      case 12:
        h11(record);
        return;
      default:
        rest[slot - OWN_SITES - 1](record);
    }
  };
  return { slots, minLengths, calls, usual: makeUsual(types, calls), pair: makePair(types), call };
}

const notUsual = () => false;
const NO_PAIR: DispatchedPair = {
  ...{ first: -1, second: -1, firstId: -1, secondId: -1 },
  path: { end: () => {}, begin: () => -1, matches: notUsual, count: notUsual },
};

export function callAlways(dispatcher: Dispatcher, call: Dispatcher['call']): Dispatcher {
  return { ...dispatcher, usual: notUsual, pair: NO_PAIR, call };
}

function makePair(types: readonly HandledType[]): DispatchedPair {
  const start = types.findIndex(({ handler: { pair } }) => pair !== undefined);
  const path = types[start]?.handler.pair;
  const end = types.findIndex(({ handler }) => handler === path?.end);
  if (path === undefined || end < 0) return NO_PAIR;
  return { first: start + 1, second: end + 1, firstId: types[start].id, secondId: types[end].id, path };
}

/** Gives each of the first six fast paths (`usual`) its own call site. Ignores the others. */
function makeUsual(types: readonly HandledType[], calls: Float64Array): Dispatcher['usual'] {
  const withForm = types.flatMap(({ handler: { usual }, minLength }, i) =>
    usual === undefined ? [] : [{ usual, slot: i + 1, minLength }],
  );
  const [s0 = -1, s1 = -1, s2 = -1, s3 = -1, s4 = -1, s5 = -1] = withForm.map(({ slot }) => slot);
  const [m0 = 0, m1 = 0, m2 = 0, m3 = 0, m4 = 0, m5 = 0] = withForm.map(({ minLength }) => minLength);
  const [u0, u1, u2, u3, u4, u5] = [0, 1, 2, 3, 4, 5].map((i) => withForm[i]?.usual ?? notUsual);
  return (slot, size, words, at, timestampNs, cpu) => {
    let isDone = false;
    if (slot === s0) isDone = size >= m0 && u0(words, at, timestampNs, cpu);
    else if (slot === s1) isDone = size >= m1 && u1(words, at, timestampNs, cpu);
    else if (slot === s2) isDone = size >= m2 && u2(words, at, timestampNs, cpu);
    else if (slot === s3) isDone = size >= m3 && u3(words, at, timestampNs, cpu);
    else if (slot === s4) isDone = size >= m4 && u4(words, at, timestampNs, cpu);
    else if (slot === s5) isDone = size >= m5 && u5(words, at, timestampNs, cpu);
    if (isDone) calls[slot]++;
    return isDone;
  };
}
