/** Writes trace.dat files of version 7 as trace-cmd.dat.v7(5) describes: the counterpart of the reader, for tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import type { PageLayout } from '../../../src/model/format.ts';
import { headerPageText } from '../../../src/tracedat/header-page.ts';
import { HEADER_EVENT } from '../../../src/tracedat/trace-dat.ts';
import { LAYOUT_4K } from '../../support/pages.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/formats-6.18');
const COMPRESS = { none: (bytes: Uint8Array) => bytes, zlib: deflateSync, zstd: zstdCompressSync };

export interface BufferParts {
  name?: string;
  clock?: string;
  /** Page size in the option; default: that of the layout. */
  pageSize?: number;
  pages: Readonly<Record<number, readonly Uint8Array[]>>;
}

export interface FileParts {
  compression?: keyof typeof COMPRESS;
  layout?: PageLayout;
  /** Events, as `system:name`, whose formats are fixtures. */
  events?: readonly string[];
  buffers?: readonly BufferParts[];
  /** Further options, before the buffers. */
  options?: readonly (readonly [id: number, data: Uint8Array | string])[];
  pagesPerChunk?: number;
  kallsyms?: string;
  /** Offset of a further section, which the last section of options names as the next one. */
  lastOffset?: number;
}

/** Encodes a number, little-endian. */
export function le(value: number, bytes: 1 | 2 | 4 | 8): Buffer {
  const out = Buffer.alloc(bytes);
  out.writeUIntLE(value, 0, Math.min(bytes, 6));
  return out;
}

const str = (text: string) => Buffer.from(`${text}\0`);
const sized = (text: string, bytes: 4 | 8) => [le(Buffer.byteLength(text), bytes), Buffer.from(text)];

export function traceDat7(parts: FileParts): Buffer {
  const { compression = 'none', layout = LAYOUT_4K, events = ['sched:sched_switch'], buffers = [] } = parts;
  const compress = COMPRESS[compression];
  const isCompressed = compression !== 'none';
  const front = [Buffer.from('\x17\x08Dtracing7\0\0\x08', 'latin1'), le(layout.pageSize, 4)];
  front.push(str(compression), str('1.0'));
  const chunks: Buffer[] = [...front, Buffer.alloc(8)];
  const position = () => chunks.reduce((sum, { length }) => sum + length, 0);
  const optionsAt = Buffer.concat(front).length;
  const head = (id: number, compressed: boolean, size: number) =>
    chunks.push(le(id, 2), le(compressed ? 1 : 0, 2), le(0, 4), le(size, 8));
  const section = (id: number, content: readonly Uint8Array[]): number => {
    const at = position();
    const bytes = Buffer.concat(content);
    const packed = Buffer.from(compress(bytes));
    head(id, isCompressed, packed.length + (isCompressed ? 8 : 0));
    if (isCompressed) chunks.push(le(packed.length, 4), le(bytes.length, 4));
    chunks.push(packed);
    return at;
  };
  const option = (id: number, data: Uint8Array | string) => {
    const bytes = Buffer.from(typeof data === 'string' ? `${data}\0` : data);
    return Buffer.concat([le(id, 2), le(bytes.length, 4), bytes]);
  };

  const offsets = [
    [
      16,
      section(16, [
        str('header_page'),
        ...sized(headerPageText(layout), 8),
        str('header_event'),
        ...sized(HEADER_EVENT, 8),
      ]),
    ],
    [17, section(17, [le(0, 4)])],
    [18, section(18, [le(events.length, 4), ...events.flatMap(formatOf)])],
    [19, section(19, sized(parts.kallsyms ?? '', 4))],
  ];
  const bufferOptions = buffers.map((buffer) => {
    const at = position();
    head(3, isCompressed, 0);
    const table: Buffer[] = [];
    for (const [cpu, pages] of Object.entries(buffer.pages)) {
      chunks.push(Buffer.alloc((layout.pageSize - (position() % layout.pageSize)) % layout.pageSize));
      const from = position();
      const bytes = isCompressed ? chunked(pages) : Buffer.concat(pages);
      chunks.push(bytes);
      table.push(le(Number(cpu), 4), le(from, 8), le(bytes.length - (isCompressed ? 4 : 0), 8));
    }
    const { name = '', clock = 'local', pageSize = layout.pageSize } = buffer;
    return option(
      3,
      Buffer.concat([le(at, 8), str(name), str(clock), le(pageSize, 4), le(table.length / 3, 4), ...table]),
    );
  });
  function chunked(pages: readonly Uint8Array[]): Buffer {
    const { pagesPerChunk = 2 } = parts;
    const out: Buffer[] = [];
    for (let i = 0; i < pages.length; i += pagesPerChunk) {
      const bytes = Buffer.concat(pages.slice(i, i + pagesPerChunk));
      const packed = compress(bytes);
      out.push(Buffer.concat([le(packed.length, 4), le(bytes.length, 4), packed]));
    }
    return Buffer.concat([le(out.length, 4), ...out]);
  }

  // Like trace-cmd, writes one section with the options that are known first, then one section per buffer.
  let next = parts.lastOffset ?? 0;
  for (const buffer of bufferOptions.toReversed()) next = section(0, [buffer, option(0, le(next, 8))]);
  const facts = [
    ...offsets.map(([id, at]) => option(id, le(at, 8))),
    ...(parts.options ?? []).map(([id, data]) => option(id, data)),
  ];
  const first = section(0, [...facts, option(0, le(next, 8))]);
  section(15, [str('options')]);
  const file = Buffer.concat(chunks);
  le(first, 8).copy(file, optionsAt);
  return file;
}

function formatOf(event: string): Buffer[] {
  const [system, name] = event.split(':');
  return [str(system), le(1, 4), ...sized(readFileSync(join(FIXTURES, system, name), 'utf8'), 8)];
}
