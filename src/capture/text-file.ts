/**
 * A file of the kernel's own text, of `trace` or `trace_pipe`: its name in, the text and all that the file tells of
 * itself out. It has no formats, so those that are known take their place; and it tells neither the machine nor, for
 * the most part, the kernel: syscalls are named as on the machine that reads it.
 */
import { closeSync } from 'node:fs';
import { machine } from 'node:os';
import { makeKnownFormats } from '../decode/text/known-formats.ts';
import { UsageError } from '../model/errors.ts';
import type { TextSource, TraceMetadata } from '../model/source.ts';
import { openFile, readAt } from './file-io.ts';
import { surveyText, type TextSurvey } from './text-survey.ts';

export interface TextTrace {
  /** Gives the text once, to the end of the file. */
  source: TextSource;
  /** Whether `source` has given all of it. */
  bytesRead(): number;
  bytes: number;
  /** Of the headings; `nop` where there are none and the lines are those of events. */
  tracer: string;
  /** The lines are those of function_graph. */
  isGraph: boolean;
  /** CPUs that events are of, ascending. */
  cpus: readonly number[];
  /** For the plan: events are those that the text has; formats there are of all that are known. */
  metadata: Omit<TraceMetadata, 'layout'>;
  /** Undefined: the trace clock does not count time, and there are no durations. */
  nsPerStamp: 1 | undefined;
  /** Events that were overwritten before the text was made, as the headings of `trace` count them. */
  overwritten: number;
  /** Of a latency tracer, whose `trace` is the longest latency and the events within; the text is not given. */
  latencyNs: number | undefined;
  /** What the file cannot give. */
  problems: string[];
  close(): void;
}

const HEAD_BYTES = 1 << 16;
const PIECE_BYTES = 1 << 20;

/** Whether a file begins as text of `trace` or `trace_pipe` does. */
export function looksLikeTraceText(head: Uint8Array): boolean {
  return surveyText([head]).hasLines;
}

/**
 * Opens a file. It is read twice, the first time for the CPUs and events that it has. Throws `UsageError` when it is no
 * such text, `KernelError` when it cannot be read.
 */
export function openTextTrace(file: string): TextTrace {
  const fd = openFile(file, 'r');
  try {
    return contentsOf(fd, file);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function contentsOf(fd: number, file: string): TextTrace {
  const head = Buffer.alloc(HEAD_BYTES);
  if (!looksLikeTraceText(head.subarray(0, readAt(fd, file, head, 0)))) {
    throw new UsageError(
      `${file} is no text of trace or trace_pipe: no line of it is an event of the kernel`,
    );
  }
  const survey = surveyText(piecesOf(fd, file));
  // A line without an end is left out.
  const bytes = survey.wholeBytes;
  const isLatency = survey.latencyUs !== undefined;
  let position = isLatency ? bytes : 0;
  return {
    source: {
      readText: (into) => {
        if (isLatency) return 0;
        const read = readAt(fd, file, into.subarray(0, bytes - position), position);
        position += read;
        return read;
      },
    },
    bytesRead: () => position,
    bytes,
    tracer: survey.tracer,
    isGraph: survey.isGraph,
    cpus: survey.cpus,
    metadata: metadataOf(survey),
    nsPerStamp: survey.isPlain ? undefined : 1,
    overwritten: survey.overwritten,
    latencyNs: survey.latencyUs === undefined ? undefined : survey.latencyUs * 1000,
    problems: problemsOf(survey, file),
    close: () => closeSync(fd),
  };
}

function* piecesOf(fd: number, file: string): Generator<Uint8Array> {
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let position = 0; ; ) {
    const read = readAt(fd, file, piece, position);
    if (read === 0) return;
    position += read;
    yield piece.subarray(0, read);
  }
}

function metadataOf(survey: TextSurvey): TextTrace['metadata'] {
  const formatText = makeKnownFormats();
  return {
    clock: survey.isPlain ? 'unknown' : 'text',
    machine: machine(),
    kernelRelease: survey.kernelRelease,
    cpuCount: Math.max(0, ...survey.cpus) + 1,
    events: () => survey.events.filter((event) => formatText(event) !== undefined),
    formatText,
  };
}

function problemsOf(survey: TextSurvey, file: string): string[] {
  const problems: string[] = [];
  if (survey.isPlain) {
    problems.push(`${file} was made with a trace clock that does not count time: there are no durations`);
  }
  if (survey.isGraph && !survey.hasGraphStamps) {
    problems.push(`${file} has no times: the option funcgraph-abstime was off; durations of calls are right`);
  }
  if (survey.cutBytes > 0) {
    problems.push(
      `${file} ends within line ${survey.lines + 1}, at byte ${survey.wholeBytes}: the last ${survey.cutBytes} bytes are left out`,
    );
  }
  return problems;
}
