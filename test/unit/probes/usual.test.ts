import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventHandler, EventRecord } from '../../../src/model/record.ts';
import { syscalls } from '../../../src/probes/syscalls.ts';
import { makeRecord, run } from './records.ts';

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
    loss: fc.integer({ min: 0, max: 30 }).map((one) => one === 30),
  })
  .map(({ event, values: { ret, ...values }, loss }) => ({
    ...{ event, loss },
    values: event === EXIT ? { ...values, ret } : values,
  }));

/** Feeds the steps to a new probe. Returns how many records the fast path handled, and what the probe counted. */
function counted(steps: readonly Step[], options: Record<string, unknown>, usualFirst: boolean) {
  const h = run(syscalls, options, { self: [9], cpuCount: 4 });
  let usual = 0;
  let now = 1e6;
  for (const { event, values, loss } of steps) {
    now += values.ts;
    if (loss) h.probe.onLoss?.(values.cpu, now);
    const handler: EventHandler = h.probe.handlers[event];
    const record: EventRecord = makeRecord(event, { ...values, ts: now });
    const { words, offset, timestampNs, cpu } = record;
    if (usualFirst && handler.usual?.(words, offset >> 2, timestampNs, cpu) === true) usual++;
    else handler(record);
  }
  return {
    usual,
    state: { families: h.store.snapshot().families, unmatched: h.unmatched, ignored: h.ignored() },
  };
}

for (const options of [{}, { per_cpu: true }, { exclude: ['read'] }]) {
  test(`syscalls: the forms for usual records count as the handlers do, with ${JSON.stringify(options)}`, () => {
    let usual = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 300 }), (steps) => {
        const fast = counted(steps, options, true);
        assert.deepEqual(fast.state, counted(steps, options, false).state);
        usual += fast.usual;
      }),
    );
    assert.ok(usual > 100, `${usual} usual records`);
  });
}
