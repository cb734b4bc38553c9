/**
 * A recording's pages as the pipeline is to see them: those of a capture in; the same out, with the end of a CPU whose
 * last pages are missing marked as a loss, and progress told.
 */

import type { PageLayout } from '../../model/format.ts';
import type { PageSource } from '../../model/source.ts';
import type { Capture as RecordedCapture } from '../../tracedat/read.ts';

/** Past any stamp: 2^62, in the top byte of the page's stamp. */
const NEVER_TOP_BYTE = 0x40;
/** Stamps from here on are no times of events. */
export const NEVER = 2 ** 62;

/** `onPages`: called with the pages read so far, for every page. */
export function replaySource(capture: RecordedCapture, onPages: (pages: number) => void): PageSource {
  const { source, metadata } = capture;
  const ended = new Set<number>();
  let pages = 0;
  return {
    cpus: source.cpus,
    readPage: (cpu, into) => {
      const read = source.readPage(cpu, into);
      if (read > 0) {
        onPages(++pages);
        return read;
      }
      if (ended.has(cpu) || !capture.isCut(cpu)) return 0;
      ended.add(cpu);
      return endOfCut(into, metadata.layout);
    },
  };
}

/**
 * A page without events that tells of a loss without end: what begins or ends on other CPUs from here on may have had
 * its other half on this one, so it is counted but has no duration.
 */
function endOfCut(into: Uint8Array, layout: PageLayout): number {
  into.fill(0, 0, layout.pageSize);
  into[layout.timestampOffset + 7] = NEVER_TOP_BYTE;
  into[layout.commitOffset + 3] = 0x80;
  return layout.pageSize;
}

/** Whole pages of all CPUs. */
export function pagesOf(capture: RecordedCapture): number {
  return capture.source.cpus().reduce((sum, cpu) => sum + capture.cpuPages(cpu), 0);
}
