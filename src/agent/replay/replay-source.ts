/** Passes the pages of a recording to the pipeline. Marks a loss if a CPU's last pages are missing in the file. */

import type { PageLayout } from '../../model/format.ts';
import type { PageSource } from '../../model/source.ts';
import type { Capture as RecordedCapture } from '../../tracedat/read.ts';

/** Top byte of the page timestamp `NEVER`. */
const NEVER_TOP_BYTE = 0x40;
/** Timestamp in ns that is later than any event. Marks a loss that does not end. */
export const NEVER = 2 ** 62;

/** Calls `onPages` after every page with the number of pages that were read. */
export function replaySource(capture: RecordedCapture, onPages: (pages: number) => void): PageSource {
  const { source, metadata } = capture;
  const ended = new Set<number>();
  const pagesRead = new Map<number, number>();
  let pages = 0;
  return {
    cpus: source.cpus,
    readPage: (cpu, into) => {
      const read = source.readPage(cpu, into);
      const count = (pagesRead.get(cpu) ?? 0) + 1;
      pagesRead.set(cpu, count);
      // Some programs add a page of zeros after the last page. Earlier pages of zeros are holes in the file.
      const isPadding = count === capture.cpuPages(cpu) && isZero(into, metadata.layout);
      if (read > 0 && !isPadding) {
        onPages(++pages);
        return read;
      }
      if (ended.has(cpu) || !capture.isCut(cpu)) return 0;
      ended.add(cpu);
      return endOfCut(into, metadata.layout);
    },
  };
}

function isZero(page: Uint8Array, layout: PageLayout): boolean {
  return page.subarray(0, layout.dataOffset).every((byte) => byte === 0);
}

/** Writes a page that marks an endless loss: the missing pages may contain the end of any open operation. */
function endOfCut(into: Uint8Array, layout: PageLayout): number {
  into.fill(0, 0, layout.pageSize);
  into[layout.timestampOffset + 7] = NEVER_TOP_BYTE;
  into[layout.commitOffset + 3] = 0x80;
  return layout.pageSize;
}

/** Number of complete pages of all CPUs. */
export function pagesOf(capture: RecordedCapture): number {
  return capture.source.cpus().reduce((sum, cpu) => sum + capture.cpuPages(cpu), 0);
}
