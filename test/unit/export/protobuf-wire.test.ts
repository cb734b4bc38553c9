import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import {
  closeMessage,
  MAX_VARINT_BYTES,
  writeDouble,
  writeVarint,
  writeZigzag,
} from '../../../src/export/exposition/protobuf-wire.ts';

const bytes = Buffer.alloc(1 << 22);
const reader = (end: number) => protobuf.Reader.create(bytes.subarray(0, end));

test('whole numbers are read back, at every width', (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.diagnostic(`seed ${seed}`);
  const edges = Array.from({ length: 53 }, (_, bit) => [2 ** bit - 1, 2 ** bit, 2 ** bit + 1]).flat();
  const whole = fc.oneof(fc.maxSafeNat(), fc.nat(), fc.nat(300), fc.constantFrom(...edges));
  fc.assert(
    fc.property(whole, fc.boolean(), (value, negative) => {
      const end = writeVarint(bytes, 0, value);
      assert.ok(end <= MAX_VARINT_BYTES);
      assert.equal(Number(reader(end).uint64()), value);
      // The zigzag encoding doubles the number, so use half of the value.
      const signed = negative ? -1 - Math.floor(value / 2) : Math.floor(value / 2);
      assert.equal(Number(reader(writeZigzag(bytes, 0, signed)).sint64()), signed);
    }),
    { seed, numRuns: 2000 },
  );
  for (const value of edges) assert.equal(Number(reader(writeVarint(bytes, 0, value)).uint64()), value);
});

test('doubles are read back to the bit', () => {
  for (const value of [0, -0, 1.5, -1e-128, 5e-324, Number.MAX_VALUE, Infinity, -Infinity, Number.NaN]) {
    assert.ok(Object.is(reader(writeDouble(bytes, 0, value)).double(), value));
  }
});

test('a message ends where its length says, whatever length was guessed', () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    for (const width of [1, 2, 3]) {
      const start = 5;
      bytes.fill(0);
      for (let i = 0; i < length; i++) bytes[start + width + i] = 1 + (i % 250);
      const end = closeMessage(bytes, start, width, start + width + length);
      const message = protobuf.Reader.create(bytes.subarray(start, end)).bytes();
      assert.equal(message.length, length);
      assert.ok(message.every((byte, i) => byte === 1 + (i % 250)));
    }
  }
});
