/** Converts `PageLayout` to and from the text of `events/header_page`. Source: ring_buffer_print_page_header(). */
import { parseFields } from '../decode/format.ts';
import type { PageLayout } from '../model/format.ts';

/** Maximum page size in bytes. The data length in a page's header has 27 bits. */
export const MAX_PAGE = 1 << 27;

export function headerPageText(layout: PageLayout): string {
  const { timestampOffset, commitOffset, commitSize, dataOffset, pageSize } = layout;
  return [
    `\tfield: u64 timestamp;\toffset:${timestampOffset};\tsize:8;\tsigned:0;`,
    `\tfield: local_t commit;\toffset:${commitOffset};\tsize:${commitSize};\tsigned:1;`,
    `\tfield: int overwrite;\toffset:${commitOffset};\tsize:1;\tsigned:1;`,
    `\tfield: char data;\toffset:${dataOffset};\tsize:${pageSize - dataOffset};\tsigned:0;`,
    '',
  ].join('\n');
}

/** Returns the layout, or the reason why the text is invalid. */
export function parseHeaderPage(text: string): PageLayout | { error: string } {
  const fields = parseFields(text);
  if ('error' in fields) return fields;
  const [timestamp, commit, data] = ['timestamp', 'commit', 'data'].map((name) =>
    fields.find((field) => field.name === name),
  );
  if (timestamp?.size !== 8 || timestamp.offset % 4 !== 0) return { error: 'has no 64-bit field timestamp' };
  if (commit === undefined || (commit.size !== 4 && commit.size !== 8) || commit.offset % 4 !== 0)
    return { error: 'has no 32-bit or 64-bit field commit' };
  if (data === undefined || data.size === 0 || data.offset % 4 !== 0) return { error: 'has no field data' };
  const pageSize = data.offset + data.size;
  const headerEnd = Math.max(timestamp.offset + 8, commit.offset + commit.size);
  if (data.offset < headerEnd || pageSize > MAX_PAGE || pageSize % 4 !== 0)
    return { error: `puts ${data.size} bytes of data at ${data.offset}` };
  return {
    pageSize,
    timestampOffset: timestamp.offset,
    commitOffset: commit.offset,
    commitSize: commit.size,
    dataOffset: data.offset,
  };
}
