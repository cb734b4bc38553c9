/**
 * Opens a file with text from `trace`, `trace_pipe` or `trace-cmd report`. The text does not contain the architecture,
 * so replay uses the syscall names of the machine on which it runs.
 */
import { closeSync } from 'node:fs';
import { machine } from 'node:os';
import { makeCanonical } from '../decode/text/canonical.ts';
import { makeKnownFormats } from '../decode/text/known-formats.ts';
import { UsageError } from '../model/errors.ts';
import type { TextSource, TraceMetadata } from '../model/source.ts';
import { openFile, READ_AT_ONCE, readAt } from '../tracedat/file-io.ts';
import { whatItIs } from './text-refusals.ts';
import { surveyText, type TextSurvey } from './text-survey.ts';

export interface TextTrace
  extends Pick<
    TextSurvey,
    'tracer' | 'isGraph' | 'overwritten' | 'eventLines' | 'otherLines' | 'firstOther'
  > {
  /** Returns the file's text once. Returns no text if the file is the `trace` of a latency tracer. */
  source: TextSource;
  /** Number of bytes of the file that `source` has read. */
  bytesRead(): number;
  bytes: number;
  /** CPUs with events, ascending. */
  cpus: readonly number[];
  /** `events()` returns the known events in the text, `formatText()` the format of any known event. */
  metadata: Omit<TraceMetadata, 'layout'>;
  /** Nanoseconds per timestamp unit. Undefined if the trace clock does not measure time; durations are then unknown. */
  nsPerStamp: 1 | undefined;
  /** Longest latency in nanoseconds. Undefined unless the file is the `trace` of a latency tracer. */
  latencyNs: number | undefined;
  /** Text of a latency tracer's `trace`, up to 1 MiB; '' for other files. */
  latencyTrace: string;
  /** Names of unknown events. The text does not contain the events' systems. */
  otherNames: readonly string[];
  /** Message that the last line is cut off. Show the message only if the last line can't be parsed. */
  openEnd: string | undefined;
  /** Converts a byte offset in the text from `source` to a line number. The first line is 1. */
  lineAt(offset: number): number;
  /** Sentences about what the file can't provide. */
  problems: string[];
  close(): void;
}

const HEAD_BYTES = 1 << 16;
const PIECE_BYTES = 1 << 20;
/** Maximum size in bytes of `latencyTrace`. */
const LONGEST_LATENCY_TRACE = 1 << 20;
const NEWLINE = 0x0a;

/** Whether a file begins like text of `trace`, `trace_pipe` or `trace-cmd report`. */
export function looksLikeTraceText(head: Uint8Array): boolean {
  const survey = surveyText([head]);
  return survey.hasLines || survey.isEmpty;
}

/** Throws `UsageError` with a remedy if replay cannot use the text, `KernelError` if the file can't be read. */
export function openTextTrace(file: string): TextTrace {
  const fd = openFile(file, READ_AT_ONCE);
  try {
    return contentsOf(fd, file);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function contentsOf(fd: number, file: string): TextTrace {
  const head = Buffer.alloc(HEAD_BYTES);
  const begin = head.subarray(0, readAt(fd, file, head, 0));
  if (!looksLikeTraceText(begin)) throw new UsageError(`${file} ${whatItIs(begin)}`);
  const survey = surveyText(piecesOf(fd, file));
  const unread = whyNotRead(survey);
  if (unread !== undefined) throw new UsageError(`${file} ${unread}`);
  const isLatency = survey.latencyUs !== undefined;
  const reader = survey.isForeign ? rewritten(fd, file) : asItIs(fd, file, survey.wholeBytes);
  const bytes = survey.wholeBytes + survey.cutBytes;
  return {
    source: { readText: (into) => (isLatency ? 0 : reader.readText(into)) },
    bytesRead: () => (isLatency ? bytes : reader.position()),
    bytes,
    tracer: survey.tracer,
    isGraph: survey.isGraph,
    cpus: survey.cpus,
    metadata: metadataOf(survey),
    nsPerStamp: survey.isPlain ? undefined : 1,
    overwritten: survey.overwritten,
    latencyNs: survey.latencyUs === undefined ? undefined : survey.latencyUs * 1000,
    latencyTrace: isLatency ? traceText(fd, file) : '',
    otherNames: survey.otherNames,
    eventLines: survey.eventLines,
    otherLines: survey.otherLines,
    firstOther: survey.firstOther,
    openEnd: survey.isOpen && !isLatency ? endsWithin(survey, file) : undefined,
    lineAt: (offset) => lineAt(survey.isForeign ? rewritten(fd, file) : asItIs(fd, file, bytes), offset),
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

/** Reads a file's text once, from start to end. */
interface Reader extends TextSource {
  /** Number of bytes that this reader has read from the file. */
  position(): number;
}

function asItIs(fd: number, file: string, bytes: number): Reader {
  let position = 0;
  return {
    readText: (into) => {
      const read = readAt(fd, file, into.subarray(0, bytes - position), position);
      position += read;
      return read;
    },
    position: () => position,
  };
}

/** Returns a reader that converts lines of other kernels and tools to the form that the decoder parses. */
function rewritten(fd: number, file: string): Reader {
  const canonical = makeCanonical();
  const piece = Buffer.alloc(PIECE_BYTES);
  let text: Uint8Array = new Uint8Array(0);
  let position = 0;
  let isDone = false;
  return {
    readText: (into) => {
      while (text.length === 0 && !isDone) {
        const read = readAt(fd, file, piece, position);
        position += read;
        isDone = read === 0;
        text = canonical.rewrite(piece.subarray(0, read), isDone);
      }
      const length = Math.min(text.length, into.length);
      into.set(text.subarray(0, length));
      text = text.subarray(length);
      return length;
    },
    position: () => position,
  };
}

function lineAt(reader: Reader, offset: number): number {
  const piece = Buffer.alloc(PIECE_BYTES);
  let number = 1;
  for (let remaining = offset; remaining > 0; ) {
    const read = reader.readText(piece.subarray(0, Math.min(remaining, piece.length)));
    if (read === 0) break;
    remaining -= read;
    for (let at = piece.indexOf(NEWLINE); at >= 0 && at < read; at = piece.indexOf(NEWLINE, at + 1)) number++;
  }
  return number;
}

function traceText(fd: number, file: string): string {
  const text = Buffer.alloc(LONGEST_LATENCY_TRACE);
  return text.toString('utf8', 0, readAt(fd, file, text, 0));
}

/** Returns why replay does not support this text, with a remedy. Undefined if replay supports the text. */
function whyNotRead(survey: TextSurvey): string | undefined {
  if (survey.isLatencyFormat && survey.tracer === 'nop') {
    return 'is text of the tracer nop with the option latency-format, which is not supported: record it again with 0 in options/latency-format';
  }
  const { otherNames, isGraph, hasGraphDurations } = survey;
  if (isGraph && !hasGraphDurations) {
    return 'is text of function_graph without durations, so there is nothing to measure: record it again with 1 in options/funcgraph-duration';
  }
  if (!isGraph && otherNames.some((name) => name.startsWith('funcgraph_'))) {
    return 'is the output of trace-cmd report with calls of function_graph, which replay can read only from a trace.dat: replay the trace.dat';
  }
  return undefined;
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
    problems.push(
      `${file} was recorded with a trace clock that does not measure time, so there are no durations`,
    );
  }
  if (survey.isGraph && !survey.hasGraphStamps) {
    problems.push(
      `${file} has no timestamps, because the option funcgraph-abstime was off; the durations of calls are still correct`,
    );
  }
  if (survey.isReport && survey.otherNames.includes('osnoise')) {
    problems.push(
      `${file} is the output of trace-cmd report, which omits how long osnoise measured: replay the trace.dat`,
    );
  }
  if (survey.cutBytes > 0 && !survey.isOpen) problems.push(endsWithin(survey, file));
  return problems;
}

function endsWithin({ lines, wholeBytes, cutBytes }: TextSurvey, file: string): string {
  return `${file} ends within line ${lines + 1}, at byte ${wholeBytes}: the last ${cutBytes} bytes are ignored`;
}
