/** Symbols of ELF files. The test makes small files with the tables that linkers write. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { functionOffset, readElf } from '../../../src/host/elf.ts';

const directory = mkdtempSync(join(tmpdir(), 'ftrace-exporter-elf-'));
after(() => rmSync(directory, { recursive: true }));

interface Symbol {
  name: string;
  value: number;
  /** STT_FUNC by default. */
  type?: number;
  /** 0: the symbol is defined in another file. */
  section?: number;
  version?: number;
  /** Where another symbol's name begins in the table of names; by default, the symbol gets a name of its own. */
  nameAt?: number;
}

const [SYMTAB, STRTAB, DYNSYM, VERSYM] = [2, 3, 11, 0x6fffffff];
/** Code for the address 0x401000 is at offset 0x1000 of the file. */
const SEGMENT = { offset: 0x1000, address: 0x401000, size: 0x1000 };

/** Writes a file with a table of exported symbols and, if `all` is given, a table of all symbols. */
function elf(name: string, exported: readonly Symbol[], all?: readonly Symbol[]): string {
  const sections: { type: number; link: number; bytes: Buffer }[] = [
    { type: 0, link: 0, bytes: Buffer.alloc(0) },
  ];
  const add = (type: number, symbols: readonly Symbol[]) => {
    let strings = '\0';
    const table = Buffer.alloc(24 * (symbols.length + 1));
    symbols.forEach((symbol, i) => {
      const at = 24 * (i + 1);
      table.writeUInt32LE(symbol.nameAt ?? strings.length, at);
      if (symbol.nameAt === undefined) strings += `${symbol.name}\0`;
      table[at + 4] = (symbol.type ?? 2) | 0x10;
      table.writeUInt16LE(symbol.section ?? 1, at + 6);
      table.writeBigUInt64LE(BigInt(symbol.value), at + 8);
    });
    sections.push({ type, link: sections.length + 1, bytes: table });
    sections.push({ type: STRTAB, link: 0, bytes: Buffer.from(strings) });
  };
  add(DYNSYM, exported);
  const versions = Buffer.alloc(2 * (exported.length + 1));
  for (const [i, { version = 2 }] of exported.entries()) versions.writeUInt16LE(version, 2 * (i + 1));
  sections.push({ type: VERSYM, link: 1, bytes: versions });
  if (all !== undefined) add(SYMTAB, all);

  const head = Buffer.alloc(64 + 56);
  head.write('\x7fELF\x02\x01\x01', 'latin1');
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, 64);
  head.writeBigUInt64LE(BigInt(SEGMENT.offset), 64 + 8);
  head.writeBigUInt64LE(BigInt(SEGMENT.address), 64 + 16);
  head.writeBigUInt64LE(BigInt(SEGMENT.size), 64 + 32);
  let at = head.length;
  const headers = sections.map(({ type, link, bytes }) => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(at), 24);
    header.writeBigUInt64LE(BigInt(bytes.length), 32);
    header.writeUInt32LE(link, 40);
    at += bytes.length;
    return header;
  });
  head.writeBigUInt64LE(BigInt(at), 40);
  head.writeUInt16LE(64, 58);
  head.writeUInt16LE(sections.length, 60);
  const file = join(directory, name);
  writeFileSync(file, Buffer.concat([head, ...sections.map(({ bytes }) => bytes), ...headers]));
  return file;
}

test('an exported function, at its offset in the file', () => {
  const file = elf('lib.so', [
    { name: 'malloc', value: 0x401230 },
    { name: 'environ', value: 0x401300, type: 1 },
    { name: 'printf', value: 0, section: 0 },
    { name: 'beyond', value: 0x500000 },
  ]);
  assert.equal(functionOffset(file, 'malloc'), 0x1230);
  assert.deepEqual(
    readElf(file).functions.map(({ name }) => name),
    ['malloc'],
  );
  assert.throws(() => functionOffset(file, 'printf'), /lib\.so has no function printf; it is stripped/);
});

test('a function that is not exported, where the file is not stripped', () => {
  const file = elf('program', [], [{ name: 'main', value: 0x401010 }]);
  assert.equal(functionOffset(file, 'main'), 0x1010);
  assert.throws(() => functionOffset(file, 'mian'), /program has no function mian$/);
});

test('of several versions the default; of several functions none', () => {
  const file = elf(
    'versions.so',
    [
      { name: 'memcpy', value: 0x401100, version: 0x8002 },
      { name: 'memcpy', value: 0x401200, version: 3 },
    ],
    [
      { name: 'memcpy@GLIBC_2.2.5', value: 0x401100 },
      { name: 'memcpy@@GLIBC_2.14', value: 0x401200 },
      { name: 'helper', value: 0x401400 },
      { name: 'helper', value: 0x401500 },
    ],
  );
  assert.equal(functionOffset(file, 'memcpy'), 0x1200);
  assert.throws(
    () => functionOffset(file, 'helper'),
    /2 functions named helper: choose one of .*:0x1400, .*:0x1500/,
  );
});

test('what is no such file has a reason', () => {
  const file = join(directory, 'text');
  writeFileSync(file, '#!/bin/sh\n'.padEnd(100));
  assert.throws(() => readElf(file), /text is not an ELF file/);
  writeFileSync(file, '\x7fELF');
  assert.throws(() => readElf(file), /text is truncated/);
  assert.throws(() => readElf(join(directory, 'missing')), /cannot read .*missing: ENOENT/);
  const damaged = elf('damaged', [{ name: 'f', value: 0x401000 }]);
  for (const at of [40, 58, 60]) {
    const bytes = readFileSync(damaged);
    bytes.writeUInt16LE(0xffff, at);
    writeFileSync(file, bytes);
    assert.throws(
      () => functionOffset(file, 'f'),
      /text (is damaged|is truncated|has no function f)|out of range/,
    );
  }
});

test('a file that claims to have thousands of tables of symbols is read as one with a single table', () => {
  const file = elf('many-tables', [], [{ name: 'main', value: 0x401010 }]);
  const bytes = readFileSync(file);
  // The table of all symbols is the last section but one; its names are the last one.
  const table = bytes.subarray(-128, -64);
  assert.equal(table.readUInt32LE(4), SYMTAB);
  const more = 5000;
  bytes.writeUInt16LE(bytes.readUInt16LE(60) + more, 60);
  writeFileSync(file, Buffer.concat([bytes, ...Array(more).fill(table)]));
  assert.deepEqual(readElf(file), {
    functions: [{ name: 'main', offset: 0x1010, isHidden: false }],
    isStripped: false,
  });
});

test('symbols may share names, but not so many that reading them would not end', () => {
  const name = 'f'.repeat(1 << 16);
  const shared = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...{ name, value: 0x401000 + i },
      ...(i === 0 ? {} : { nameAt: 1 }),
    }));
  assert.equal(readElf(elf('shared', [], shared(20))).functions.length, 20);
  assert.throws(
    () => readElf(elf('overlapping', [], shared(50))),
    /overlapping is damaged: the names of its symbols/,
  );
});

test('a pipe, a device and a directory are refused without waiting for them', () => {
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  // A writer, so that opening the pipe in the wrong way fails the test instead of blocking it for ever.
  const writer = openSync(fifo, 'r+');
  for (const file of [fifo, '/dev/zero', directory])
    assert.throws(() => functionOffset(file, 'f'), {
      message: new RegExp(`^cannot read ${file}: .*not a regular file$`),
    });
  closeSync(writer);
});
