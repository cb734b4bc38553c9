/** Opens a trace.dat file as a recording to replay. */

import { knownFunctions, parseKallsyms } from '../../host/symbols.ts';
import type { FunctionLookup } from '../../model/function-names.ts';
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
    functions: (place) => namesIn(capture.kallsyms(), place === 'inside'),
    nsPerStamp: capture.nsPerStamp,
    latency: undefined,
    hasEvent: (event) => metadata.formatText(event) !== undefined,
    stream: (plan, onError) =>
      new Pipeline({
        source: replaySource(capture, (pages) => onProgress(pages, ofPages)),
        layout: metadata.layout,
        plan,
        onError,
        pagesPerRound,
      }),
    stats: (cpu) => capture.stats.find((stats) => stats.cpu === cpu),
    problems: (hasErrors) => [...capture.problems, ...(hasErrors ? brokenPages(file, { instance }) : [])],
    isCut: capture.isCut,
    close: capture.close,
  };
}

/** Called only if a probe reads addresses, because symbols can be several megabytes. */
function namesIn(kallsyms: string, isInside: boolean): ReturnType<FunctionLookup> {
  if (kallsyms === '') return { reason: 'the file has no symbols' };
  const names = knownFunctions([() => parseKallsyms(Buffer.from(kallsyms))], isInside);
  return 'reason' in names ? { reason: 'the symbols in the file have no addresses' } : names;
}
