import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeDispatcher } from '../../../src/decode/dispatch.ts';
import { makePairs } from '../../../src/decode/pairs.ts';
import type { EventHandler, EventRecord } from '../../../src/model/record.ts';
import { functionCalls } from '../../../src/probes/function.ts';
import { functionGraph } from '../../../src/probes/function-graph.ts';
import { syscalls } from '../../../src/probes/syscalls.ts';
import { loadFormat, type Machine, makeRecord, type RecordFields, run, TRACER_KERNELS } from './records.ts';

const ENTER = 'raw_syscalls:sys_enter';
const EXIT = 'raw_syscalls:sys_exit';

interface Step {
  event: string;
  values: { ts: number; by: number; cpu: number; id: number; ret?: number };
  /** Whether events were lost just before this one. */
  loss: boolean;
}

const step: fc.Arbitrary<Step> = fc
  .record({
    event: fc.constantFrom(ENTER, EXIT),
    values: fc.record({
      // Time since the previous record. Some records are out of order.
      ts: fc.constantFrom(-20, 0, 10, 10, 10, 10, 40, 3e9),
      by: fc.constantFrom(7, 7, 7, 8, 9, 4_194_304, -1),
      cpu: fc.integer({ min: 0, max: 5 }),
      id: fc.constantFrom(0, 74, 74, 74, 74, 15, 56, 231, 5000, -1),
      ret: fc.constantFrom(0, 0, 1, 1, -1, -4096, 2 ** 31),
    }),
    loss: fc.integer({ min: 0, max: 12 }).map((one) => one === 12),
  })
  .map(({ event, values: { ret, ...values }, loss }) => ({
    ...{ event, loss },
    values: event === EXIT ? { ...values, ret } : values,
  }));

/** A start, and the end of the same call as the next event. */
const call = step.chain(({ event, ...start }) =>
  fc.constantFrom(0, 10, 10, 40).map((ts): Step[] => {
    const { ret: _, ...values } = start.values;
    return [
      { event: ENTER, values, loss: start.loss },
      { event: EXIT, values: { ret: 0, ...start.values, ts }, loss: false },
    ];
  }),
);
const stepsArb = fc
  .array(
    fc.oneof(
      step.map((one) => [one]),
      call,
    ),
    { minLength: 100, maxLength: 200 },
  )
  .map((parts) => parts.flat());

interface Counted {
  /** How many single records and how many pairs the fast paths handled. */
  usual: number;
  pairs: number;
  /** What the probe counted. */
  state: unknown;
}

/** Feeds the steps to a new probe. */
function counted(steps: readonly Step[], options: Record<string, unknown>, fastFirst: boolean): Counted {
  const h = run(syscalls, options, { self: [9], cpuCount: 4 });
  const { handle, state } = makePairs(
    makeDispatcher(
      [ENTER, EXIT].map((event, id) => ({ id, handler: h.probe.handlers[event], minLength: 0 })),
    ),
  );
  let [usual, pairs] = [0, 0];
  let now = 1e6;
  for (let i = 0; i < steps.length; i++) {
    const { event, values, loss } = steps[i];
    now += values.ts;
    if (loss) h.probe.onLoss?.(values.cpu, now);
    if (fastFirst && event === ENTER) {
      const words = recordsFrom(steps.slice(i));
      state.set([0, now, Number.POSITIVE_INFINITY]);
      const handled = handle(words, words.byteLength - 4, values.cpu);
      if (handled > 0) {
        now = state[1];
        pairs += handled;
        i += 2 * handled - 1;
        continue;
      }
    }
    const handler: EventHandler = h.probe.handlers[event];
    const record: EventRecord = makeRecord(event, { ...values, ts: now });
    const { words, offset, timestampNs, cpu } = record;
    if (fastFirst && handler.usual?.(words, offset >> 2, timestampNs, cpu) === true) usual++;
    else handler(record);
  }
  const counts = { families: h.store.snapshot().families, unmatched: h.unmatched, ignored: h.ignored() };
  return { usual, pairs, state: counts };
}

/** The records of the first steps, as far as they can follow each other in a page, and one more word. */
function recordsFrom(steps: readonly Step[]): Int32Array {
  const { cpu } = steps[0].values;
  const ends = steps.findIndex(
    ({ values, loss }, i) => i > 0 && (loss || values.cpu !== cpu || values.ts < 0 || values.ts >= 2 ** 27),
  );
  const records = steps.slice(0, ends < 0 ? steps.length : ends).flatMap(({ event, values }) => {
    const { words, offset, length } = makeRecord(event, values);
    const payload = [...words.subarray(offset >> 2, (offset + length) >> 2)];
    payload[0] = (payload[0] & ~0xffff) | [ENTER, EXIT].indexOf(event);
    return [(Math.max(values.ts, 0) << 5) | payload.length, ...payload];
  });
  return Int32Array.from([...records, 0]);
}

for (const options of [{}, { per_cpu: true }, { exclude: ['read'] }]) {
  test(`syscalls: the fast paths count as the handlers do, with ${JSON.stringify(options)}`, () => {
    let [usual, pairs] = [0, 0];
    fc.assert(
      fc.property(stepsArb, (steps) => {
        const fast = counted(steps, options, true);
        assert.deepEqual(fast.state, counted(steps, options, false).state);
        usual += fast.usual;
        pairs += fast.pairs;
      }),
    );
    assert.ok(usual > 100 && pairs > 100, `${usual} records and ${pairs} pairs`);
  });
}

const KERNEL_HALF = 0xffffffff00000000n;
const flagsArb = fc.constantFrom(0, 0, 0x08);
const byArb = fc.constantFrom(0, 7, 8, 9, -1);
const cpuArb = fc.constantFrom(0, 0, 0, 1, 5);
/** Many addresses with the same low word, and more functions than `max_series`. The first three are frequent. */
const addressArb = fc
  .tuple(
    fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 12 })),
    fc.constantFrom(0n, 1n, 1n, 1n),
  )
  .map(([n, high]) => KERNEL_HALF * high + BigInt(n * 16));
const OPTIONS = { unfiltered: true, max_series: 6 };
const TRACERS: {
  event: string;
  record: fc.Arbitrary<RecordFields>;
  start(machine: Machine): ReturnType<typeof run>;
}[] = [
  {
    start: (machine) => run(functionCalls, OPTIONS, machine),
    event: 'ftrace:function',
    record: fc.record({ ts: fc.constant(1), by: byArb, cpu: cpuArb, flags: flagsArb, ip: addressArb }),
  },
  {
    start: (machine) => run(functionGraph, OPTIONS, machine),
    event: 'ftrace:funcgraph_exit',
    record: fc.record({
      ...{ ts: fc.constant(1), by: byArb, cpu: cpuArb, flags: flagsArb, func: addressArb },
      calltime: fc.constantFrom(10n, 10n, 10n, 2n ** 32n - 5n, 2n ** 32n + 5n),
      rettime: fc.constantFrom(
        9n,
        10n,
        900n,
        900n,
        900n,
        2n ** 31n + 20n,
        2n ** 32n - 1n,
        2n ** 32n + 50n,
        2n ** 40n,
      ),
      overrun: fc.constantFrom(0, 0, 0, 2),
    }),
  },
];

for (const { event, record, start } of TRACERS)
  for (const kernel of TRACER_KERNELS)
    test(`${event} on ${kernel}: the fast path counts as the handler does`, () => {
      let usual = 0;
      const counted = (records: readonly RecordFields[], fastFirst: boolean) => {
        const functions = { generation: 1, nameOf: (low: number, high: number) => `f${high}_${low % 160}` };
        const machine = { kernel, functions, self: [9], cpuCount: 4 };
        const h = start(machine);
        for (const fields of records) {
          const made = makeRecord(event, fields, loadFormat(event, kernel));
          const { words, offset, timestampNs, cpu } = made;
          const handler: EventHandler = h.probe.handlers[event];
          if (fastFirst && handler.usual?.(words, offset >> 2, timestampNs, cpu) === true) usual++;
          else handler(made);
        }
        return { families: h.store.snapshot().families, unmatched: h.unmatched, ignored: h.ignored() };
      };
      const records = fc.array(record, { minLength: 100, maxLength: 200 });
      fc.assert(fc.property(records, (some) => assert.deepEqual(counted(some, true), counted(some, false))));
      assert.ok(usual > 100, `${usual} records`);
    });
