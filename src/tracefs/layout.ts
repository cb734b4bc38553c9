import { KernelError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';

const FIELD = /field:[^;]*?(\w+)(?:\[\w*\])?\s*;\s*offset:(\d+)\s*;\s*size:(\d+)\s*;/g;

/** Parses `events/header_page`. Throws a `KernelError` that names `file`. Source: ring_buffer_print_page_header(). */
export function parseHeaderPage(text: string, file = 'events/header_page'): PageLayout {
  const fields = new Map<string, { offset: number; size: number }>();
  for (const [, name, offset, size] of text.matchAll(FIELD)) {
    fields.set(name, { offset: Number(offset), size: Number(size) });
  }
  const field = (name: string) => {
    const position = fields.get(name);
    if (position === undefined) throw unreadable(file, `has no field "${name}"`);
    return position;
  };
  const timestamp = field('timestamp');
  const commit = field('commit');
  const data = field('data');
  if (timestamp.size !== 8) throw unreadable(file, `gives ${timestamp.size} bytes to the time stamp`);
  if (commit.size !== 4 && commit.size !== 8) throw unreadable(file, `gives ${commit.size} bytes to commit`);
  if (data.size === 0 || data.offset < commit.offset + commit.size || data.offset % 4 !== 0)
    throw unreadable(file, `puts the data at ${data.offset}, ${data.size} bytes long`);
  return {
    pageSize: data.offset + data.size,
    timestampOffset: timestamp.offset,
    commitOffset: commit.offset,
    commitSize: commit.size,
    dataOffset: data.offset,
  };
}

function unreadable(file: string, why: string): KernelError {
  const remedy = `it ${why}, so the agent cannot read the pages of this kernel: use --reader trace_pipe`;
  return new KernelError({ file, errno: '', action: 'understand', remedy });
}
