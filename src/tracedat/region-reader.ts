/** Reads the pages of one CPU in sequence. Skips unreadable chunks, and flags lost events in the next readable page. */
import { reasonOf } from '../model/errors.ts';
import type { PageLayout } from '../model/format.ts';
import { readAt } from './file-io.ts';
import { MAX_PROBLEMS } from './parts.ts';
import type { Chunk, Region } from './regions.ts';
import type { Uncompress } from './uncompress.ts';

export interface RegionReader {
  /** Copies the next page. Returns the page's length, or 0 at the end. */
  readPage(into: Uint8Array): number;
  /** Returns the position of a page as text, such as `byte 8192`. Page numbers start at 0. */
  placeOf(page: number): string;
}

interface Opening {
  cpu: number;
  region: Region;
  fd: number;
  path: string;
  layout: PageLayout;
  uncompress: Uncompress | undefined;
  problems: string[];
}

export function openRegion(opening: Opening): RegionReader {
  const { chunks } = opening.region;
  return chunks === undefined ? plainReader(opening) : chunkReader(opening, chunks);
}

function plainReader({ cpu, region, fd, path, layout: { pageSize }, problems }: Opening): RegionReader {
  let next = 0;
  const offsetOf = (page: number) => region.offset + page * pageSize;
  return {
    readPage: (into) => {
      if (next >= region.pages) return 0;
      const read = readAt(fd, path, into.subarray(0, pageSize), offsetOf(next));
      if (read === pageSize) {
        next++;
        return read;
      }
      problems.push(
        `CPU ${cpu}: the file was truncated while it was read, at page ${next + 1} of ${region.pages}, byte ${offsetOf(next)}`,
      );
      region.cut = true;
      region.pages = next;
      return 0;
    },
    placeOf: (page) => `byte ${offsetOf(page)}`,
  };
}

function chunkReader(opening: Opening, chunks: readonly Chunk[]): RegionReader {
  const { cpu, region, layout, problems } = opening;
  const { pageSize } = layout;
  let bytes: Uint8Array | undefined;
  let at = -1;
  let next = 0;
  let lost = false;
  let bad = 0;

  /** Loads the chunk of the next page into `bytes`. Skips unreadable chunks. Returns false if no page remains. */
  const load = (): boolean => {
    while (next < region.pages) {
      const chunk = chunks[at];
      if (chunk !== undefined && bytes !== undefined && next < chunk.firstPage + chunk.pages) return true;
      at++;
      const following = chunks[at];
      bytes = content(following);
      if (bytes !== undefined) continue;
      lost = true;
      next = following.firstPage + following.pages;
    }
    if (lost) region.cut = true;
    return false;
  };

  const content = (chunk: Chunk): Uint8Array | undefined => {
    try {
      const compressed = new Uint8Array(chunk.size);
      if (readAt(opening.fd, opening.path, compressed, chunk.offset) < chunk.size)
        throw new Error('the file was truncated while it was read');
      if (opening.uncompress === undefined) throw new Error('its compression is not supported');
      return opening.uncompress(compressed, chunk.pages * pageSize);
    } catch (error) {
      const pages = `pages ${chunk.firstPage + 1} to ${chunk.firstPage + chunk.pages} of ${region.pages}`;
      if (bad++ < MAX_PROBLEMS)
        problems.push(
          `CPU ${cpu}: the chunk at byte ${chunk.offset} with ${pages} can't be read: ${reasonOf(error)}`,
        );
      return undefined;
    }
  };

  return {
    readPage: (into) => {
      if (!load() || bytes === undefined) return 0;
      const from = (next - chunks[at].firstPage) * pageSize;
      into.set(bytes.subarray(from, from + pageSize));
      if (lost) flagLoss(into, layout);
      lost = false;
      next++;
      return pageSize;
    },
    placeOf: (page) => {
      const chunk = chunks.find(({ firstPage, pages }) => page < firstPage + pages);
      return chunk === undefined ? 'no byte' : `the chunk at byte ${chunk.offset}`;
    },
  };
}

/** Sets RB_MISSED_EVENTS and clears RB_MISSED_STORED, because the number of lost events is unknown. */
function flagLoss(page: Uint8Array, { commitOffset }: PageLayout): void {
  page[commitOffset + 3] = (page[commitOffset + 3] & ~0x40) | 0x80;
}
