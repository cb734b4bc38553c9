import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type KnownFunctions,
  knownFunctions,
  parseKallsyms,
  readKallsyms,
  type SymbolList,
} from '../../../src/host/symbols.ts';

const TEXT = `ffffffff81000000 T srso_alias_untrain_ret
ffffffff81000000 T _stext
ffffffff81000040 T x86_verw_sel
ffffffff81000080 t entry_SYSCALL_64
ffffffff82000000 D some_data
ffffffff81000100 W weak_one
ffffffffc0a01000 t late_module\t[second]
ffffffffc0a00010 t vda_open.constprop.0\t[first]
ffffffffc0a00000 t vda_start\t[first]
`;

const symbols = (text: string, wanted?: (name: string) => boolean): SymbolList => {
  const list = parseKallsyms(Buffer.from(text), wanted);
  assert.ok('names' in list, JSON.stringify(list));
  return list;
};

const functionsOf = (list: SymbolList): KnownFunctions => {
  const functions = knownFunctions([() => list]);
  assert.ok('nameOf' in functions);
  return functions;
};

test('text symbols of kernel and modules, in the order of addresses, the first name of an address', () => {
  const list = symbols(TEXT);
  assert.deepEqual(list.names, [
    'srso_alias_untrain_ret',
    'x86_verw_sel',
    'entry_SYSCALL_64',
    'weak_one',
    'vda_start',
    'vda_open.constprop.0',
    'late_module',
  ]);
  assert.deepEqual(
    [...list.high].map((word) => word.toString(16)),
    Array(7).fill('ffffffff'),
  );
  assert.equal(list.low[4], 0xc0a00000);
});

test('an address belongs to the function that begins there or a few bytes before', () => {
  const { nameOf } = functionsOf(symbols(TEXT));
  const high = 0xffffffff;
  assert.equal(nameOf(0x81000040, high), 'x86_verw_sel');
  assert.equal(nameOf(0x81000044, high), 'x86_verw_sel');
  assert.equal(nameOf(0x8100007f, high), 'x86_verw_sel');
  // Words of records are signed.
  assert.equal(nameOf(0x81000044 | 0, high | 0), 'x86_verw_sel');
  assert.equal(nameOf(0x80ffffff, high), undefined);
  assert.equal(nameOf(0x81000044, 0), undefined);
  assert.equal(nameOf(0xc0a01010, high), 'late_module');
  assert.equal(nameOf(0xc0a0103f, high), 'late_module');
  assert.equal(nameOf(0xc0a01040, high), undefined);
  // An address in a module without known symbols must not get the name of the symbol before it.
  assert.equal(nameOf(0xc0a02000, high), undefined);
});

test('unwanted symbols are not kept, but still end the one before', () => {
  const text = `${TEXT}ffffffff81000050 t short\n`;
  const list = symbols(text, (name) => name.startsWith('x86_') || name === '_stext');
  assert.deepEqual(list.names, ['x86_verw_sel']);
  const { nameOf } = functionsOf(list);
  assert.equal(nameOf(0x81000044, 0xffffffff), 'x86_verw_sel');
  assert.equal(nameOf(0x81000054, 0xffffffff), undefined);
});

test('hidden addresses are no addresses, and the reason says so', () => {
  const hidden = '0000000000000000 T _stext\n0000000000000000 t other\t[m]\n';
  const list = parseKallsyms(Buffer.from(hidden));
  assert.ok('reason' in list);
  assert.match(list.reason, /CAP_SYSLOG/);
  const empty = parseKallsyms(Buffer.alloc(0));
  assert.ok('reason' in empty && /no symbols/.test(empty.reason));
  const none = readKallsyms(undefined, '/nonexistent');
  assert.ok('reason' in none && /nonexistent: ENOENT/.test(none.reason));
});

test('lines of another form are skipped; any bytes are accepted', () => {
  assert.deepEqual(symbols(`\n\nnonsense\nffffffff81000000 T\n${TEXT}ffffffff8`).names.length, 7);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const list = parseKallsyms(bytes);
      assert.ok('reason' in list || list.names.length === list.low.length);
    }),
  );
});

test('32-bit kernels have addresses of one word', () => {
  const { nameOf } = functionsOf(symbols('c0008000 T stext\nc0008100 t after\n'));
  assert.equal(nameOf(0xc0008010 | 0, 0), 'stext');
});

test('patched places stand for their functions, a few bytes before or after', () => {
  const list = {
    low: Uint32Array.of(0x91602014, 0x91602064, 0x91602084),
    high: new Uint32Array(3).fill(0xffffffff),
    names: ['a', 'b', 'c'],
  };
  const { nameOf } = functionsOf(list);
  assert.equal(nameOf(0x91602014, 0xffffffff), 'a');
  assert.equal(nameOf(0x91602010, 0xffffffff), 'a');
  assert.equal(nameOf(0x91602060, 0xffffffff), 'b');
  assert.equal(nameOf(0x91602088, 0xffffffff), 'c');
  // Between the known functions there can be unknown code, such as that of a module that was loaded later.
  assert.equal(nameOf(0x91602040, 0xffffffff), undefined);
  assert.equal(nameOf(0x91602014, 0xfffffffe), undefined);
});

test('the first source that has names is used, and a refresh asks it again', () => {
  let text = TEXT;
  const functions = knownFunctions([() => ({ reason: 'not here' }), () => parseKallsyms(Buffer.from(text))]);
  assert.ok('nameOf' in functions);
  const { generation } = functions;
  text = `${TEXT}ffffffffc0b00000 t added\t[third]\n`;
  assert.equal(functions.nameOf(0xc0b00000, 0xffffffff), undefined);
  assert.equal(functions.refresh(), true);
  assert.notEqual(functions.generation, generation);
  assert.equal(functions.nameOf(0xc0b00000, 0xffffffff), 'added');
  assert.equal(functions.count, 8);
  // If names are no longer available, the old ones stay.
  text = '';
  assert.equal(functions.refresh(), false);
  assert.equal(functions.count, 8);
  assert.deepEqual(knownFunctions([() => ({ reason: 'a' }), () => ({ reason: 'b' })]), { reason: 'a; b' });
});

test('every address finds what a plain search finds', () => {
  const starts = fc.uniqueArray(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(starts, fc.integer({ min: 0, max: 2100 }), (offsets, offset) => {
      const base = 0xffffffff81000000n;
      const text = offsets.map((o) => `${(base + BigInt(o)).toString(16)} t f${o}\n`).join('');
      const address = base + BigInt(offset);
      const expected = Math.max(-1, ...offsets.filter((o) => o <= offset));
      const isEntry = expected >= 0 && offset - expected < 64;
      const { nameOf } = functionsOf(symbols(text));
      assert.equal(
        nameOf(Number(address & 0xffffffffn), Number(address >> 32n)),
        isEntry ? `f${expected}` : undefined,
      );
    }),
  );
});

test("this machine's own text is understood, whether or not it shows addresses", () => {
  const list = parseKallsyms(readFileSync('/proc/kallsyms'));
  if ('reason' in list) assert.match(list.reason, /hides/);
  else assert.ok(list.names.includes('vfs_read'));
});
