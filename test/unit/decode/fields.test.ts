import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bytesReader, intReader, textOf, wordOffset } from '../../../src/decode/fields.ts';
import type { EventFormat, FieldFormat } from '../../../src/model/format.ts';
import type { EventRecord } from '../../../src/model/record.ts';

const PAGE = 512;

function formatOf(
  ...fields: (Pick<FieldFormat, 'name' | 'offset' | 'size'> & Partial<FieldFormat>)[]
): EventFormat {
  const all = fields.map((f) => ({
    type: 'int',
    signed: false,
    array: false,
    location: 'inline' as const,
    ...f,
  }));
  return { system: 'test', name: 'probed', id: 1, fields: all, printFmt: '' };
}

/** A record at `offset` of a page whose other bytes are 0xee. */
function recordOf(payload: Uint8Array, offset = 24): EventRecord {
  const bytes = new Uint8Array(PAGE).fill(0xee);
  bytes.set(payload, offset);
  return {
    words: new Int32Array(bytes.buffer),
    bytes,
    offset,
    length: payload.length,
    cpu: 0,
    timestampNs: 1,
  };
}

function withView(length: number, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return bytes;
}

describe('intReader', () => {
  it('reads every size and sign at every place', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4, 8),
        fc.boolean(),
        fc.nat(40),
        fc.nat(20),
        fc.bigInt(-(2n ** 53n), 2n ** 53n),
        (size, signed, at, place, wide) => {
          const bits = size * 8;
          // For an unsigned 64-bit field, use small values: the reader is exact only up to 2^53.
          const value = signed
            ? BigInt.asIntN(bits, wide)
            : BigInt.asUintN(bits, size === 8 && wide < 0n ? -wide : wide);
          const payload = new Uint8Array(48);
          for (let i = 0; i < size; i++)
            payload[at + i] = Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn);
          const read = intReader(formatOf({ name: 'x', offset: at, size, signed }), 'x');
          assert.equal(read(recordOf(payload, place * 4)), Number(value));
        },
      ),
    );
  });

  it('reads 0 where the record is too short', () => {
    for (const signed of [false, true]) {
      for (const size of [1, 2, 4, 8]) {
        for (const offset of [4, 5, 6, 7, 8, 12]) {
          const format = formatOf({ name: 'x', offset, size, signed });
          const short = recordOf(new Uint8Array(offset + size - 1).fill(0xff));
          assert.equal(intReader(format, 'x')(short), 0, `${size} bytes at ${offset}`);
          const enough = recordOf(new Uint8Array(offset + size).fill(0xff));
          assert.notEqual(intReader(format, 'x')(enough), 0, `${size} bytes at ${offset}`);
        }
      }
    }
  });

  it('reads the top of unsigned 64 bits as positive', () => {
    const payload = withView(16, (view) => view.setBigUint64(8, 2n ** 64n - 1n, true));
    assert.equal(intReader(formatOf({ name: 'x', offset: 8, size: 8 }), 'x')(recordOf(payload)), 2 ** 64);
    assert.equal(
      intReader(formatOf({ name: 'x', offset: 8, size: 8, signed: true }), 'x')(recordOf(payload)),
      -1,
    );
  });

  it('gives the place of whole words to readers that read them themselves', () => {
    const at = (size: number, offset: number) => wordOffset(formatOf({ name: 'x', offset, size }), 'x');
    assert.equal(at(4, 4), 1);
    assert.equal(at(4, 24), 6);
    assert.equal(at(8, 12), 3);
    for (const [size, offset] of [
      [1, 4],
      [2, 8],
      [4, 6],
      [8, 9],
    ]) {
      assert.throws(() => at(size, offset), /test:probed: field x .*whole words/);
    }
    assert.throws(() => wordOffset(formatOf({ name: 'x', offset: 8, size: 4, array: true }), 'x'), /array/);
    assert.throws(() => wordOffset(formatOf({ name: 'x', offset: 8, size: 4 }), 'y'), /no field y/);
  });

  it('names the event, the field and the fields that exist', () => {
    const format = formatOf(
      { name: 'pid', offset: 8, size: 4 },
      { name: 'comm', offset: 12, size: 16, array: true },
    );
    assert.throws(() => intReader(format, 'tgid'), /test:probed has no field tgid; it has pid, comm/);
    assert.throws(() => bytesReader(format, 'tgid'), /no field tgid/);
    assert.throws(() => intReader(format, 'comm'), /test:probed: field comm .*array/);
    assert.throws(() => intReader(formatOf({ name: 'x', offset: 8, size: 16 }), 'x'), /16 bytes/);
  });
});

const encoder = new TextEncoder();
const COMM = formatOf({ name: 'comm', type: 'char', offset: 8, size: 16, array: true });

function commRecord(text: string | Uint8Array): EventRecord {
  const payload = new Uint8Array(28).fill(0x41);
  payload.fill(0, 8, 24);
  payload.set(typeof text === 'string' ? encoder.encode(text) : text, 8);
  return recordOf(payload);
}

describe('bytesReader', () => {
  it('ends an inline string before its NUL, or at its end without one', () => {
    const reader = bytesReader(COMM, 'comm');
    assert.equal(textOf(reader, commRecord('bash')), 'bash');
    assert.equal(textOf(reader, commRecord('')), '');
    assert.equal(textOf(reader, commRecord('0123456789abcdef')), '0123456789abcdef');
    assert.equal(textOf(reader, commRecord('[a] ->\n"b')), '[a] ->\n"b');
  });

  it('replaces invalid UTF-8', () => {
    const reader = bytesReader(COMM, 'comm');
    assert.equal(textOf(reader, commRecord(Uint8Array.of(0x61, 0xff, 0x62))), 'a\ufffdb');
  });

  it('keeps NULs of arrays that are not strings', () => {
    for (const type of ['u8', 'unsigned char']) {
      const reader = bytesReader(formatOf({ name: 'mac', type, offset: 8, size: 6, array: true }), 'mac');
      const record = commRecord(Uint8Array.of(1, 0, 2, 0, 0, 3));
      assert.equal(reader.end(record) - reader.start(record), 6);
    }
  });

  it('reads the rest of the record as a flexible array, which old kernels print without brackets', () => {
    for (const array of [true, false]) {
      const reader = bytesReader(formatOf({ name: 'buf', type: 'char', offset: 8, size: 0, array }), 'buf');
      const payload = encoder.encode('\0\0\0\0\0\0\0\0hello\nworld');
      assert.equal(textOf(reader, recordOf(payload)), 'hello\nworld');
      assert.equal(textOf(reader, recordOf(payload.subarray(0, 8))), '');
      assert.equal(textOf(reader, recordOf(payload.subarray(0, 4))), '');
    }
  });

  const located = (location: 'data_loc' | 'rel_loc', size: number, type = `__${location} char`) =>
    bytesReader(formatOf({ name: 's', type, offset: 8, size, array: true, location }), 's');

  function locatedRecord(offset: number, length: number, text: string): EventRecord {
    const payload = withView(36, (view) => view.setUint32(8, (length << 16) | offset, true));
    payload.set(encoder.encode(text), 16);
    return recordOf(payload);
  }

  it('follows __data_loc from the start of the record', () => {
    assert.equal(textOf(located('data_loc', 4), locatedRecord(16, 6, 'vda-1\0rest')), 'vda-1');
    assert.equal(textOf(located('data_loc', 4), locatedRecord(16, 3, 'vda-1\0rest')), 'vda');
    assert.equal(textOf(located('data_loc', 4), locatedRecord(16, 0, 'vda')), '');
  });

  it('follows __rel_loc from the end of the field', () => {
    assert.equal(textOf(located('rel_loc', 4), locatedRecord(4, 6, 'vda-1\0rest')), 'vda-1');
  });

  it('reads a __data_loc of 2 bytes as an offset without a length', () => {
    assert.equal(textOf(located('data_loc', 2), locatedRecord(16, 0xffff, 'vda-1\0rest')), 'vda-1');
  });

  it('keeps NULs of located arrays that are not strings', () => {
    const record = locatedRecord(16, 8, 'a\0b');
    const reader = located('data_loc', 4, '__data_loc u8');
    assert.equal(reader.end(record) - reader.start(record), 8);
  });

  it('stays within the payload, whatever the record says', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 64 }),
        fc.constantFrom<FieldFormat['location']>('inline', 'data_loc', 'rel_loc'),
        fc.constantFrom('char', 'u8'),
        fc.constantFrom(0, 2, 4, 16),
        fc.nat(70),
        (payload, location, type, size, offset) => {
          const record = recordOf(payload);
          const located = location !== 'inline';
          const width = located && size !== 2 ? 4 : size;
          const reader = bytesReader(
            formatOf({ name: 's', type, offset, size: width, array: true, location }),
            's',
          );
          const [start, end] = [reader.start(record), reader.end(record)];
          assert.ok(start >= record.offset && start <= end && end <= record.offset + record.length);
          textOf(reader, record);
        },
      ),
    );
  });
});
