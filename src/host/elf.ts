/** Finds functions and their file offsets in 64-bit ELF files (elf(5)), for uprobes. Reads only headers and tables. */
import { closeSync, readSync } from 'node:fs';
import { errnoOf, reasonOf } from '../model/errors.ts';
import { openUserFile } from '../model/user-file.ts';

export interface ElfFunction {
  name: string;
  offset: number;
  /** Whether the symbol has a version that is not the default version of the symbol's name. */
  isHidden: boolean;
}

export interface ElfFile {
  functions: readonly ElfFunction[];
  /** Whether the file lacks `.symtab`, the table of all symbols. Only exported functions are then known. */
  isStripped: boolean;
}

interface Section {
  type: number;
  offset: number;
  size: number;
  link: number;
}

interface Segment {
  offset: number;
  address: number;
  size: number;
}

const [SYMTAB, DYNSYM, VERSYM] = [2, 11, 0x6fffffff];
const LOAD = 1;
/** STT_FUNC (functions) and STT_GNU_IFUNC (functions that select an implementation at load time). */
const FUNCTION_TYPES = [2, 10];
const SYMBOL_BYTES = 24;
const HIDDEN = 0x8000;
/** Maximum size of a table in bytes, and maximum number of headers, because a damaged file can contain any values. */
const LARGEST_TABLE = 512 * 2 ** 20;
const MOST_HEADERS = 10_000;
/** Limits all names to 1 MiB plus this multiple of the size of the name table, because names can share bytes. */
const NAMES_PER_TABLE = 16;

/** Reads the functions of a program or library. Throws an `Error` with the reason if the file cannot be used. */
export function readElf(path: string): ElfFile {
  let fd: number;
  try {
    fd = openUserFile(path);
  } catch (error) {
    throw new Error(`cannot read ${path}: ${reasonOf(error)}`);
  }
  try {
    return parseElf(path, (offset, size) => {
      if (size > LARGEST_TABLE)
        throw new Error(`${path} is damaged: one of its tables has an impossible size of ${size} bytes`);
      const bytes = Buffer.alloc(size);
      if (readSync(fd, bytes, 0, size, offset) < size) throw new Error(`${path} is truncated`);
      return bytes;
    });
  } catch (error) {
    throw errnoOf(error) === '' ? error : new Error(`cannot read ${path}: ${errnoOf(error)}`);
  } finally {
    closeSync(fd);
  }
}

/** Returns a file offset. Throws an `Error` if the file is unusable, lacks the name, or has it at several offsets. */
export function functionOffset(path: string, name: string): number {
  const { functions, isStripped } = readElf(path);
  const all = functions.filter((one) => one.name === name);
  const visible = all.filter(({ isHidden }) => !isHidden);
  const offsets = [...new Set((visible.length > 0 ? visible : all).map(({ offset }) => offset))];
  if (offsets.length === 1) return offsets[0];
  if (offsets.length > 1) {
    const places = offsets.map((offset) => `${path}:0x${offset.toString(16)}`);
    throw new Error(
      `${path} has ${offsets.length} functions named ${name}: choose one of ${places.join(', ')}`,
    );
  }
  const why = isStripped ? '; it is stripped, so only its exported functions have names' : '';
  throw new Error(`${path} has no function ${name}${why}`);
}

type Read = (offset: number, size: number) => Buffer;

function parseElf(path: string, read: Read): ElfFile {
  const head = read(0, 64);
  if (head.readUInt32BE(0) !== 0x7f454c46) throw new Error(`${path} is not an ELF file`);
  if (head[4] !== 2 || head[5] !== 1) throw new Error(`${path} is not a 64-bit little-endian ELF file`);
  const segments = table(
    read,
    head.readBigUInt64LE(32),
    head.readUInt16LE(54),
    head.readUInt16LE(56),
  ).flatMap((bytes): Segment[] =>
    bytes.readUInt32LE(0) === LOAD
      ? [{ offset: number64(bytes, 8), address: number64(bytes, 16), size: number64(bytes, 32) }]
      : [],
  );
  const sections = table(read, head.readBigUInt64LE(40), head.readUInt16LE(58), head.readUInt16LE(60)).map(
    (bytes): Section => ({
      type: bytes.readUInt32LE(4),
      offset: number64(bytes, 24),
      size: number64(bytes, 32),
      link: bytes.readUInt32LE(40),
    }),
  );
  const versions = sections.find(({ type }) => type === VERSYM);
  // Use only the first table of each type. A valid file has no more, and a damaged file can have many.
  const functions = [DYNSYM, SYMTAB]
    .flatMap((table) => sections.find(({ type }) => type === table) ?? [])
    .flatMap((section) => {
      const strings = sections[section.link];
      if (strings === undefined) return [];
      return functionsIn(
        path,
        read,
        section,
        strings,
        segments,
        section.type === DYNSYM ? versions : undefined,
      );
    });
  return { functions, isStripped: !sections.some(({ type }) => type === SYMTAB) };
}

function functionsIn(
  path: string,
  read: Read,
  symbols: Section,
  strings: Section,
  segments: readonly Segment[],
  versions: Section | undefined,
): ElfFunction[] {
  const bytes = read(symbols.offset, symbols.size);
  const names = read(strings.offset, strings.size);
  const versionOf = versions === undefined ? undefined : read(versions.offset, versions.size);
  let nameBytes = 2 ** 20 + NAMES_PER_TABLE * names.length;
  const functions: ElfFunction[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= bytes.length; at += SYMBOL_BYTES) {
    const isDefined = bytes.readUInt16LE(at + 6) !== 0;
    if (!isDefined || !FUNCTION_TYPES.includes(bytes[at + 4] & 15)) continue;
    const address = number64(bytes, at + 8);
    const segment = segments.find((one) => address >= one.address && address < one.address + one.size);
    const nameAt = bytes.readUInt32LE(at);
    const nameEnd = names.indexOf(0, nameAt);
    nameBytes -= Math.max(0, (nameEnd < 0 ? names.length : nameEnd) - nameAt);
    if (nameBytes < 0) throw new Error(`${path} is damaged: the names of its symbols overlap`);
    if (segment === undefined || nameEnd <= nameAt) continue;
    const place = (at / SYMBOL_BYTES) * 2;
    const version =
      versionOf !== undefined && place + 2 <= versionOf.length ? versionOf.readUInt16LE(place) : 0;
    functions.push({
      // In `.symtab`, a name can end with a version: `name@VERSION` or `name@@VERSION`.
      name: names.toString('utf8', nameAt, nameEnd).replace(/@@?.*$/, ''),
      offset: address - segment.address + segment.offset,
      isHidden: (version & HIDDEN) !== 0 || /[^@]@[^@]/.test(names.toString('latin1', nameAt, nameEnd)),
    });
  }
  return functions;
}

function table(read: Read, offset: bigint, entryBytes: number, count: number): Buffer[] {
  if (offset === 0n || entryBytes === 0 || count > MOST_HEADERS) return [];
  const bytes = read(Number(offset), entryBytes * count);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * entryBytes, (i + 1) * entryBytes));
}

function number64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}
