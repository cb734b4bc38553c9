/**
 * Which of a recording's buffers is read: those the file names enter, one leaves, and what is said of the others.
 */
import { UsageError } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import type { BufferEntry } from './options.ts';

/** The length of a page's data has 27 bits. */
const MAX_PAGE = 1 << 27;
const MAX_NAMED = 10;

/**
 * The buffer to read; undefined where the file names none. Throws `UsageError` where there is none of this name, or no
 * pages at all.
 */
export function chooseBuffer(
  buffers: readonly BufferEntry[],
  instance: string | undefined,
  file: string,
  problems: string[],
): BufferEntry | undefined {
  const withPages = buffers.filter(({ isText }) => !isText);
  if (withPages.length === 0 && buffers.length > 0)
    throw new UsageError(`${file} holds the text of a latency tracer, not events`);
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
      `the file holds ${others.length + 1} buffers, of which ${nameOf(chosen)} is read; --instance reads another of ${list}`,
    );
  return chosen;
}

function nameOf(buffer: BufferEntry | undefined): string {
  return buffer === undefined || buffer.name === ''
    ? "the top level's"
    : `instance ${JSON.stringify(buffer.name)}`;
}

/** An instance can have sub-buffers of another size than `header_page`, which is the top level's, says. */
export function withPageSize(
  layout: PageLayout,
  buffer: BufferEntry | undefined,
  problems: string[],
): PageLayout {
  const pageSize = buffer?.pageSize ?? 0;
  if (pageSize === 0 || pageSize === layout.pageSize) return layout;
  if (pageSize <= layout.dataOffset || pageSize > MAX_PAGE || pageSize % 4 !== 0) {
    problems.push(`pages of ${pageSize} bytes cannot be: ${layout.pageSize} are taken, as header_page says`);
    return layout;
  }
  return { ...layout, pageSize };
}
