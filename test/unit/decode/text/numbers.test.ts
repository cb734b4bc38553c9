import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDecimal, parsed, parsedNumber, parseHex } from '../../../../src/decode/text/numbers.ts';

/** The value of the words parsed last, all 64 bits. */
const value = () => (BigInt(parsed.high >>> 0) << 32n) | BigInt(parsed.low >>> 0);
const bytesOf = (text: string) => Buffer.from(text);

describe('numbers in text', () => {
  it('are exact to the last bit, decimal and hexadecimal', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (number) => {
        const text = `${number},`;
        assert.equal(parseDecimal(bytesOf(text), 0, text.length), text.length - 1);
        assert.equal(value(), BigInt.asUintN(64, number));
        const hex = `${BigInt.asUintN(64, number).toString(16)} `;
        assert.equal(parseHex(bytesOf(hex), 0, hex.length), hex.length - 1);
        assert.equal(value(), BigInt.asUintN(64, number));
        assert.equal(parseHex(bytesOf(`0x${hex}`), 0, hex.length + 2), hex.length + 1);
        assert.equal(value(), BigInt.asUintN(64, number));
      }),
    );
  });

  it('do not exist without digits, or with too many', () => {
    for (const text of ['', '-', 'x1', '18446744073709551616', '123456789012345678901', '-a']) {
      assert.equal(parseDecimal(bytesOf(text), 0, text.length), -1, text);
    }
    for (const text of ['', '0x', 'g', '0x11111111111111111']) {
      assert.equal(parseHex(bytesOf(text), 0, text.length), -1, text);
    }
  });

  it('end where the text ends, whatever follows', () => {
    assert.equal(parseDecimal(bytesOf('12345'), 0, 3), 3);
    assert.equal(parsedNumber(), 123);
    assert.equal(parseHex(bytesOf('12345'), 0, 3), 3);
    assert.equal(parsedNumber(), 0x123);
  });
});
