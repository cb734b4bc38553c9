/**
 * Which pages of a capture cannot be decoded: a file enters whose replay met errors, sentences that name CPU, page and
 * byte leave. A second reading, because the merge of all CPUs reads ahead of what it decodes.
 */
import { makeDispatcher } from '../decode/dispatch.ts';
import { Merger } from '../decode/merge.ts';
import type { PageError } from '../decode/page.ts';
import { type OpenOptions, openCapture } from './read.ts';

const MAX_NAMED = 5;

/** At most a handful, and how many more there are. Throws as `openCapture` does. */
export function brokenPages(path: string, options: OpenOptions = {}): string[] {
  const capture = openCapture(path, options);
  const named: string[] = [];
  let count = 0;
  let error: PageError | undefined;
  const target = {
    dispatcher: makeDispatcher([]),
    onLoss: () => {},
    onError: (_cpu: number, met: PageError) => {
      error ??= met;
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
          named.push(`CPU ${cpu}: ${place}: the rest of it cannot be decoded (${error})`);
        error = undefined;
      }
    }
  } finally {
    capture.close();
  }
  if (count > MAX_NAMED) named.push(`${count - MAX_NAMED} more pages cannot be decoded`);
  return named;
}
