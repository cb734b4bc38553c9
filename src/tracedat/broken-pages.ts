/** Finds pages that can't be decoded. Reads the file again, because replay does not know which pages had errors. */
import { makeDispatcher } from '../decode/dispatch.ts';
import { Merger } from '../decode/merge.ts';
import type { PageError } from '../decode/page.ts';
import { type OpenOptions, openCapture } from './read.ts';

const MAX_NAMED = 5;

/** Returns a sentence for each of the first 5 broken pages, and one about the others. Throws like `openCapture`. */
export function brokenPages(path: string, options: OpenOptions = {}): string[] {
  const capture = openCapture(path, options);
  const named: string[] = [];
  let count = 0;
  let error: PageError | undefined;
  const target = {
    dispatcher: makeDispatcher([]),
    onLoss: () => {},
    onError: (_cpu: number, pageError: PageError) => {
      error ??= pageError;
    },
  };
  try {
    for (const cpu of capture.source.cpus()) {
      const merger = new Merger(capture.metadata.layout, target);
      for (let number = 0; ; number++) {
        const page = merger.takePage();
        const length = capture.source.readPage(cpu, page.bytes);
        if (length === 0) break;
        merger.add(cpu, page, length);
        merger.run(Number.POSITIVE_INFINITY);
        if (error === undefined) continue;
        const place = `page ${number + 1} of ${capture.cpuPages(cpu)}, ${capture.placeOf(cpu, number)}`;
        if (count++ < MAX_NAMED)
          named.push(`CPU ${cpu}: ${place}: the rest of this page can't be decoded (${error})`);
        error = undefined;
      }
    }
  } finally {
    capture.close();
  }
  if (count > MAX_NAMED) named.push(`${count - MAX_NAMED} more pages can't be decoded`);
  return named;
}
