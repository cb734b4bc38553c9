/**
 * A file of the kernel's own text, of `trace` or `trace_pipe`: its name in, the text and all that the file tells of
 * itself out. It has no formats, so those that are known take their place; and it tells neither the machine nor, for
 * the most part, the kernel: syscalls are named as on the machine that reads it.
 */
import { closeSync } from 'node:fs';
import { machine } from 'node:os';
import { makeCanonical } from '../decode/text/canonical.ts';
import { makeKnownFormats } from '../decode/text/known-formats.ts';
import { UsageError } from '../model/errors.ts';
import type { TextSource, TraceMetadata } from '../model/source.ts';
import { openFile, readAt } from '../tracedat/file-io.ts';
import { whatItIs } from './text-refusals.ts';
import { type ShownLine, surveyText, type TextSurvey } from './text-survey.ts';

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
  /** All of that trace. */
  latencyTrace: string;
  /** Names of events that are not known: text does not tell their system, and has no formats. */
  otherNames: readonly string[];
  /** Lines that are events, and those that are nothing, with the first of these. */
  eventLines: number;
  otherLines: number;
  firstOther: ShownLine | undefined;
  /** The last line has no newline: where it cannot be read, this says so. Undefined where it has one. */
  openEnd: string | undefined;
  /** Number of the line that begins behind so many bytes of what `source` gives. */
  lineAt(offset: number): number;
  /** What the file cannot give. */
  problems: string[];
  close(): void;
}

const HEAD_BYTES = 1 << 16;
const PIECE_BYTES = 1 << 20;
/** As much as the trace of a latency is shown. */
const LONGEST_LATENCY_TRACE = 1 << 20;
const NEWLINE = 0x0a;

/** Whether a file begins as text of `trace` or `trace_pipe` does. */
export function looksLikeTraceText(head: Uint8Array): boolean {
  const survey = surveyText([head]);
  return survey.hasLines || survey.isEmpty;
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

/** Text of a file, from its start, once. */
interface Reader extends TextSource {
  /** Bytes of the file so far. */
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

/** With the front parts of lines as the decoder reads them. */
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
  for (let left = offset; left > 0; ) {
    const read = reader.readText(piece.subarray(0, Math.min(left, piece.length)));
    if (read === 0) break;
    left -= read;
    for (let at = piece.indexOf(NEWLINE); at >= 0 && at < read; at = piece.indexOf(NEWLINE, at + 1)) number++;
  }
  return number;
}

function traceText(fd: number, file: string): string {
  const text = Buffer.alloc(LONGEST_LATENCY_TRACE);
  return text.toString('utf8', 0, readAt(fd, file, text, 0));
}

/** What is text of the kernel but cannot be read, and what to do. */
function whyNotRead(survey: TextSurvey): string | undefined {
  if (survey.isLatencyFormat && survey.tracer === 'nop') {
    return 'is text with latency-format of nop, which is not read: make it again with 0 in options/latency-format';
  }
  const { otherNames, isGraph, hasGraphDurations } = survey;
  if (isGraph && !hasGraphDurations) {
    return 'is text of function_graph without durations, which has none to count: make it again with 1 in options/funcgraph-duration';
  }
  if (!isGraph && otherNames.some((name) => name.startsWith('funcgraph_'))) {
    return 'is the output of trace-cmd report with calls of function_graph, which are not read from it: replay the trace.dat';
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
    problems.push(`${file} was made with a trace clock that does not count time: there are no durations`);
  }
  if (survey.isGraph && !survey.hasGraphStamps) {
    problems.push(`${file} has no times: the option funcgraph-abstime was off; durations of calls are right`);
  }
  if (survey.isReport && survey.otherNames.includes('osnoise')) {
    problems.push(
      `${file} is the output of trace-cmd report, which leaves out how long osnoise measured: replay the trace.dat`,
    );
  }
  if (survey.cutBytes > 0 && !survey.isOpen) problems.push(endsWithin(survey, file));
  return problems;
}

function endsWithin({ lines, wholeBytes, cutBytes }: TextSurvey, file: string): string {
  return `${file} ends within line ${lines + 1}, at byte ${wholeBytes}: the last ${cutBytes} bytes are left out`;
}
