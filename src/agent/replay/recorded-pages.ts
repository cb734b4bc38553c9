/** Opens a trace.dat file as a recording to replay. */

import { knownFunctions, parseKallsyms } from '../../host/symbols.ts';
import type { FunctionNames } from '../../model/function-names.ts';
import { brokenPages } from '../../tracedat/broken-pages.ts';
import { openCapture } from '../../tracedat/read.ts';
import { Pipeline } from '../stream/pipeline.ts';
import type { OpenOptions, Recording } from './recording.ts';
import { pagesOf, replaySource } from './replay-source.ts';

/** Throws the errors of `openCapture`. */
export function openPages(file: string, options: OpenOptions): Recording {
  const { instance, onProgress, pagesPerRound } = options;
  const capture = openCapture(file, { instance });
  const { metadata } = capture;
  const ofPages = pagesOf(capture);
  return {
    reader: 'capture',
    metadata,
    subbufferBytes: metadata.layout.pageSize,
    cpus: capture.source.cpus(),
    functions: lazyNames(() => capture.kallsyms()),
    nsPerStamp: capture.nsPerStamp,
    latency: undefined,
    hasEvent: (event) => metadata.formatText(event) !== undefined,
    stream: (plan, onError) =>
      new Pipeline({
        source: replaySource(capture, (pages) => onProgress(pages, ofPages)),
        layout: metadata.layout,
        plan,
        onError,
        ...(pagesPerRound ? { pagesPerRound } : {}),
      }),
    stats: (cpu) => capture.stats.find((stats) => stats.cpu === cpu),
    problems: (hasErrors) => [...capture.problems, ...(hasErrors ? brokenPages(file, { instance }) : [])],
    isCut: capture.isCut,
    close: capture.close,
  };
}

/** Symbols can be megabytes: they are read at the first address, which most recordings do not have. */
function lazyNames(kallsyms: () => string): FunctionNames {
  let names: FunctionNames | undefined;
  return {
    generation: 0,
    nameOf: (low, high) => {
      if (names === undefined) {
        const symbols = knownFunctions([() => parseKallsyms(Buffer.from(kallsyms()))]);
        names = 'reason' in symbols ? { nameOf: () => undefined, generation: 0 } : symbols;
      }
      return names.nameOf(low, high);
    },
  };
}
