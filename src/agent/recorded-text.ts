/** Text of `trace` or `trace_pipe`, from a file, as a recording to replay. */
import { openTextTrace } from '../capture/text-file.ts';
import { makeFunctionInterner } from '../decode/text/function-interner.ts';
import { makeTextProblems } from '../decode/text/line-types.ts';
import { UsageError } from '../model/errors.ts';
import type { OpenOptions, Recording } from './recording.ts';
import { makeTextPipeline } from './text-pipeline.ts';

/** Throws as `openTextTrace` does. */
export function openText(file: string, { instance, onProgress }: OpenOptions): Recording {
  if (instance !== undefined) throw new UsageError(`${file} is text: it has no instances to choose from`);
  const trace = openTextTrace(file);
  const functions = makeFunctionInterner();
  const { tracer, latencyNs } = trace;
  return {
    reader: 'text',
    metadata: trace.metadata,
    subbufferBytes: 0,
    cpus: trace.cpus,
    functions,
    unreadable: makeTextProblems(),
    nsPerStamp: trace.nsPerStamp,
    latency: latencyNs === undefined ? undefined : { tracer, latencyNs },
    stream: (plan, onError) =>
      makeTextPipeline({
        source: {
          readText: (into) => {
            const read = trace.source.readText(into);
            onProgress(trace.bytesRead(), trace.bytes);
            return read;
          },
        },
        plan,
        functions,
        cpuCount: trace.metadata.cpuCount,
        isGraph: trace.isGraph,
        now: () => Number.POSITIVE_INFINITY,
        onError,
      }),
    stats: () => undefined,
    problems: (hasErrors) => [
      ...trace.problems,
      ...(trace.overwritten > 0
        ? [`${trace.overwritten} events were overwritten before this text was made: they are not counted`]
        : []),
      ...(hasErrors ? [`${file} has lines that make no sense: they are left out`] : []),
    ],
    isCut: () => false,
    close: trace.close,
  };
}
