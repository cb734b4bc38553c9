/** Checks the extents of a buffer, and finds each CPU's pages. Format of compressed pages: trace-cmd.dat.v7(5). */
import { Broken, type Cursor, MAX_PART } from './cursor.ts';
import { type Extent, MAX_CPUS } from './options.ts';
import { MAX_PROBLEMS } from './parts.ts';

/** Pages of one CPU that were compressed together. */
export interface Chunk {
  /** Offset of the compressed bytes in the file. `size` is the number of compressed bytes. */
  offset: number;
  size: number;
  firstPage: number;
  pages: number;
}

/** The pages of one CPU. `offset` is their offset in the file in bytes, `pages` their number. */
export interface Region {
  offset: number;
  pages: number;
  /** Whether the last pages are missing, because the file is truncated or damaged. */
  cut: boolean;
  /** Undefined if the pages are not compressed. */
  chunks: Chunk[] | undefined;
}

export interface Placing {
  cursor: Cursor;
  pageSize: number;
  /** First byte that can belong to a page. */
  from: number;
  compressed: boolean;
}

/** Returns the regions by CPU. Adds messages about invalid or truncated extents to `problems`. */
export function placeRegions(
  extents: readonly Extent[],
  placing: Placing,
  problems: string[],
): Map<number, Region> {
  const regions = new Map<number, Region>();
  const regionProblems: string[] = [];
  // Sort the extents and refuse overlaps, because a damaged table must not make two CPUs read the same events.
  let free = placing.from;
  for (const extent of [...extents].sort((a, b) => a.offset - b.offset)) {
    const { cpu, offset, size } = extent;
    if (cpu >= MAX_CPUS || regions.get(cpu)?.pages) {
      regionProblems.push(
        `CPU ${cpu}: ${cpu >= MAX_CPUS ? 'the number is impossible' : 'its pages are listed twice'}`,
      );
      continue;
    }
    const region: Region = { offset, pages: 0, cut: false, chunks: undefined };
    regions.set(cpu, region);
    if (size === 0) continue;
    if (offset < free || offset >= placing.cursor.size) {
      region.cut = true;
      regionProblems.push(
        `CPU ${cpu}: according to the file, its pages are at byte ${offset}, which is impossible`,
      );
      continue;
    }
    if (placing.compressed) free = indexChunks(extent, region, placing, regionProblems);
    else free = countPages(extent, region, placing, regionProblems);
  }
  problems.push(...regionProblems.slice(0, MAX_PROBLEMS));
  if (regionProblems.length > MAX_PROBLEMS)
    problems.push(`${regionProblems.length - MAX_PROBLEMS} more CPUs have such problems`);
  return regions;
}

/** Counts the region's pages. Returns the offset of the first byte after the region. */
function countPages(
  extent: Extent,
  region: Region,
  { cursor, pageSize }: Placing,
  problems: string[],
): number {
  const { cpu, offset, size } = extent;
  const there = Math.min(size, cursor.size - offset);
  region.pages = Math.floor(there / pageSize);
  if (there < size) {
    region.cut = true;
    const place = `at byte ${cursor.size}, within page ${region.pages + 1} of ${Math.ceil(size / pageSize)}`;
    problems.push(`CPU ${cpu}: the file ends after ${there} of its ${size} bytes, ${place}`);
  } else if (size % pageSize !== 0) {
    region.cut = true;
    problems.push(`CPU ${cpu}: ${size} bytes are not a multiple of the page size ${pageSize}`);
  }
  return offset + there;
}

/** Finds the region's chunks. Returns the offset of the first byte after the valid chunks. */
function indexChunks(
  extent: Extent,
  region: Region,
  { cursor, pageSize }: Placing,
  problems: string[],
): number {
  const chunks: Chunk[] = [];
  region.chunks = chunks;
  const walk = cursor.at(extent.offset);
  let count = 0;
  let start = walk.position;
  try {
    count = walk.number(4, 'the number of chunks');
    while (chunks.length < count) {
      start = walk.position;
      const sizes = walk.bytes(8, 'the sizes of a chunk');
      const [size, bytes] = [sizes.readUInt32LE(0), sizes.readUInt32LE(4)];
      if (bytes === 0 || bytes % pageSize !== 0 || bytes > MAX_PART)
        throw walk.broken(start, `${bytes} bytes are not a multiple of the page size ${pageSize}`);
      const offset = walk.position;
      walk.skip(size, 'a chunk');
      // The extent's size does not include the 4 bytes with the number of chunks.
      if (walk.position > extent.offset + 4 + extent.size)
        throw walk.broken(start, 'a chunk ends after its region');
      chunks.push({ offset, size, firstPage: region.pages, pages: bytes / pageSize });
      region.pages += bytes / pageSize;
    }
    return walk.position;
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    region.cut = true;
    const place = `chunk ${chunks.length + 1} of ${count}, starting with page ${region.pages + 1}`;
    problems.push(`CPU ${extent.cpu}: its pages end early ${error.message} (${place})`);
    return start;
  }
}
