/** Chooses which of a recording's buffers to read, and reports the others. */
import { UsageError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import { MAX_PAGE } from './header-page.ts';
import type { BufferEntry } from './options.ts';

const MAX_NAMED = 10;

/**
 * Without `instance`, chooses the top level or, if the top level has no pages, the first buffer with pages. Returns
 * undefined if the file has no buffers. Throws `UsageError`.
 */
export function chooseBuffer(
  buffers: readonly BufferEntry[],
  instance: string | undefined,
  file: string,
  problems: string[],
): BufferEntry | undefined {
  const withPages = buffers.filter(({ isText }) => !isText);
  if (withPages.length === 0 && buffers.length > 0)
    throw new UsageError(`${file} contains the text of a latency tracer, not events`);
  const isFull = ({ extents }: BufferEntry) => extents.some(({ size }) => size > 0);
  const top = withPages.find(({ name }) => name === '');
  const usual = top !== undefined && isFull(top) ? top : (withPages.find(isFull) ?? top ?? withPages[0]);
  const chosen = instance === undefined ? usual : withPages.find(({ name }) => name === instance);
  const named = withPages.filter(({ name }) => name !== '').map(({ name }) => JSON.stringify(name));
  const list = named.slice(0, MAX_NAMED).join(', ') + (named.length > MAX_NAMED ? ', …' : '');
  if (chosen === undefined && instance !== undefined)
    throw new UsageError(
      `${file} has no instance ${JSON.stringify(instance)}: ${named.length === 0 ? 'it has none' : `it has ${list}`}`,
    );
  const others = withPages.filter((other) => other !== chosen && isFull(other));
  if (others.length > 0 && instance === undefined)
    problems.push(
      `the file has ${others.length + 1} buffers; this replay reads ${nameOf(chosen)}; to read another one, use --instance with one of ${list}`,
    );
  return chosen;
}

function nameOf(buffer: BufferEntry | undefined): string {
  return buffer === undefined || buffer.name === ''
    ? 'the top level'
    : `instance ${JSON.stringify(buffer.name)}`;
}

/** Returns `layout` with the buffer's page size, because `header_page` describes only the top level's pages. */
export function withPageSize(
  layout: PageLayout,
  buffer: BufferEntry | undefined,
  problems: string[],
): PageLayout {
  const pageSize = buffer?.pageSize ?? 0;
  if (pageSize === 0 || pageSize === layout.pageSize) return layout;
  if (pageSize <= layout.dataOffset || pageSize > MAX_PAGE || pageSize % 4 !== 0) {
    problems.push(`page size ${pageSize} is impossible; using ${layout.pageSize} from header_page`);
    return layout;
  }
  return { ...layout, pageSize };
}
