import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makeFunctionInterner } from '../../../../src/decode/text/function-interner.ts';

describe('names of functions as numbers', () => {
  it('are the same for the same name, and lead back to it', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[A-Za-z_.$][\w.$]{0,40}$/), { maxLength: 300 }), (names) => {
        const functions = makeFunctionInterner();
        const numbers = new Map<string, number>();
        for (const name of [...names, ...names]) {
          const bytes = Buffer.from(`<${name}>`);
          const number = functions.intern(bytes, 1, bytes.length - 1);
          assert.ok(number > 0);
          assert.equal(numbers.get(name) ?? number, number);
          numbers.set(name, number);
          assert.equal(functions.nameOf(number, 0), name);
        }
        assert.equal(new Set(numbers.values()).size, numbers.size);
      }),
      { numRuns: 50 },
    );
  });

  it('hold as many names as a kernel has', () => {
    const functions = makeFunctionInterner();
    for (let i = 0; i < 100_000; i++) {
      const bytes = Buffer.from(`function_${i}`);
      assert.equal(functions.intern(bytes, 0, bytes.length), i + 1);
    }
    assert.equal(functions.nameOf(77_778, 0), 'function_77777');
  });

  it('do not exist for addresses, nothing, and names that are too long', () => {
    const functions = makeFunctionInterner();
    for (const text of ['0xffffffff81000000', '0', '', 'x'.repeat(600)]) {
      assert.equal(functions.intern(Buffer.from(text), 0, text.length), 0, text);
    }
    assert.equal(functions.nameOf(0, 0), undefined);
    assert.equal(functions.nameOf(1, 1), undefined);
    assert.equal(functions.nameOf(-5, 0), undefined);
  });
});
