/** Opens a text file (`trace`, `trace_pipe` or the output of `trace-cmd report`) as a recording to replay. */
import { statSync } from 'node:fs';
import { makeFunctionInterner } from '../../decode/text/function-interner.ts';
import { makeTextProblems } from '../../decode/text/line-types.ts';
import { UsageError } from '../../model/errors.ts';
import { openTextTrace, type TextTrace } from '../../tracetext/text-file.ts';
import { makeTextPipeline, type TextStream } from '../stream/text-pipeline.ts';
import type { OpenOptions, Recording } from './recording.ts';

const SYSCALL_NUMBERS = 'raw_syscalls:sys_enter';

/** Throws the errors of `openTextTrace`, or a `UsageError` if `instance` is set. */
export function openText(file: string, { instance, onProgress }: OpenOptions): Recording {
  if (instance !== undefined) throw new UsageError(`${file} is text: it has no instances to choose`);
  const trace = openTextTrace(file);
  const functions = makeFunctionInterner();
  const { tracer, latencyNs, latencyTrace } = trace;
  const events = new Set(trace.metadata.events());
  const atMs = statSync(file).mtimeMs;
  let stream: TextStream | undefined;
  let readsNumbers = false;
  return {
    reader: 'text',
    metadata: trace.metadata,
    subbufferBytes: 0,
    cpus: trace.cpus,
    functions: () => functions,
    unreadable: makeTextProblems(),
    nsPerStamp: trace.nsPerStamp,
    latency: latencyNs === undefined ? undefined : { tracer, latencyNs, trace: latencyTrace, atMs },
    hasEvent: (event) => events.has(event),
    namesWithoutSystem: trace.otherNames,
    stream: (plan, onError) => {
      readsNumbers = plan.types.some(({ event }) => event === SYSCALL_NUMBERS);
      stream = makeTextPipeline({
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
        endsOpen: trace.openEnd !== undefined,
        now: () => Number.POSITIVE_INFINITY,
        onError,
      });
      return stream;
    },
    stats: () => undefined,
    problems: () => [
      ...trace.problems,
      ...(stream?.endsCut() && trace.openEnd !== undefined ? [trace.openEnd] : []),
      ...(trace.overwritten > 0
        ? [`${trace.overwritten} events were overwritten before this text was written; they are not counted`]
        : []),
      ...(readsNumbers
        ? [
            `${file} does not name the architecture of its machine: the agent uses the syscall names of ${trace.metadata.machine}`,
          ]
        : []),
      ...(stream === undefined ? [] : unreadLines(trace, file, stream.broken())),
    ],
    isCut: () => false,
    close: trace.close,
  };
}

/** Returns a warning about lines that cannot be parsed, and one about lines that do not begin like an event. */
function unreadLines(
  trace: TextTrace,
  file: string,
  { count, first }: ReturnType<TextStream['broken']>,
): string[] {
  const { eventLines, otherLines, firstOther } = trace;
  const all = eventLines + otherLines;
  const warnings: string[] = [];
  const broken = first === undefined ? 0 : trace.lineAt(first.offset);
  if (first !== undefined) {
    warnings.push(
      `${file}: ${count} of ${all} lines cannot be parsed and are skipped. Operations that had begun but not ended at such a line have no duration. ` +
        `The first is line ${broken}, ${JSON.stringify(first.text)}: ${first.why}`,
    );
  }
  // The warning above may already contain this line.
  if (otherLines > 0 && firstOther !== undefined && firstOther.number !== broken) {
    warnings.push(
      `${file}: ${otherLines} of ${all} lines do not begin like an event. They count as a part of the event before them, ` +
        `if that event can have several lines. The first is line ${firstOther.number}, ${JSON.stringify(firstOther.text)}`,
    );
  }
  return warnings;
}
