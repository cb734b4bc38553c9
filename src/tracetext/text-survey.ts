/** Scans the text of a trace once to find its headings, CPUs and events. Source: print_trace_header(). */

import { makeCanonical } from '../decode/text/canonical.ts';
import { KNOWN_EVENTS } from '../decode/text/known-formats.ts';
import { newPrefix, parsePrefix } from '../decode/text/prefix.ts';
import { parseLoss } from '../decode/text/side-lines.ts';
import { unnamedEvent } from '../decode/text/unnamed.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';

export interface TextSurvey {
  /** Whether at least one line is an event, or the text is the `trace` of a latency tracer. */
  hasLines: boolean;
  tracer: string;
  isGraph: boolean;
  hasGraphStamps: boolean;
  hasGraphDurations: boolean;
  /** CPUs with events, ascending. */
  cpus: number[];
  /** Known events, as `system:name`. */
  events: string[];
  /** Names of unknown events. The text does not contain the events' systems. */
  otherNames: string[];
  eventLines: number;
  /** Number of unrecognised lines. `firstOther` is the first of these lines. */
  otherLines: number;
  firstOther: ShownLine | undefined;
  /** Whether the text has headings of `trace`, but no events below them. */
  isEmpty: boolean;
  /** Whether the option latency-format was on. */
  isLatencyFormat: boolean;
  /** Whether the text must be rewritten before decoding, for example because another tool wrote the lines. */
  isForeign: boolean;
  isReport: boolean;
  /** Whether the last line has no newline. Also false if this line is longer than 64 KiB. */
  isOpen: boolean;
  /** Whether timestamps are counts, because the trace clock does not measure time. */
  isPlain: boolean;
  overwritten: number;
  latencyUs: number | undefined;
  kernelRelease: string;
  /** Number of lines that end with a newline. */
  lines: number;
  /** Number of bytes up to and including the last newline. */
  wholeBytes: number;
  /** Number of bytes after the last newline. */
  cutBytes: number;
}

/** A line of the file, as shown to the user. */
export interface ShownLine {
  /** The file's first line has number 1. */
  number: number;
  text: string;
}

/** Limit for CPU numbers. A line with this or a higher CPU number is not an event. */
const MOST_CPUS = 8192;
const NEWLINE = 0x0a;
const GRAPH_LINE = /^ *(?:(\d+)\.\d{6} \| +)?(\d+)\) .{12}.*\|/;
const NAME = /^(?:([A-Za-z_]\w*): |(sys_\w+)( -> 0x|\())/;
/** Matches headings that `trace` prints even if the buffer contains no events. */
const COLUMNS = /^#(?: entries-in-buffer\/entries-written: 0\/| +(?:TASK-PID|CPU|TIME|cmd) )/;
const GRAPH_DURATION = /\d us +\|/;
/** Number of bytes at the start of a line that the survey examines. */
const LONGEST_LINE = 512;
const SHOWN = 120;

export function surveyText(pieces: Iterable<Uint8Array>): TextSurvey {
  const survey: TextSurvey = {
    hasLines: false,
    tracer: '',
    isGraph: false,
    hasGraphStamps: false,
    hasGraphDurations: false,
    cpus: [],
    events: [],
    otherNames: [],
    eventLines: 0,
    otherLines: 0,
    firstOther: undefined,
    isEmpty: false,
    isLatencyFormat: false,
    isForeign: false,
    isReport: false,
    isOpen: false,
    isPlain: false,
    overwritten: 0,
    latencyUs: undefined,
    kernelRelease: '',
    lines: 0,
    wholeBytes: 0,
    cutBytes: 0,
  };
  const systems = new Map(
    KNOWN_EVENTS.filter((event) => !event.startsWith('ftrace:')).map((event) => [
      event.slice(event.indexOf(':') + 1),
      event,
    ]),
  );
  const seen = new Set<string>();
  const otherNames = new Set<string>();
  let hasColumns = false;
  const cpus = new Set<number>();
  const prefix = newPrefix();

  const heading = (line: string): void => {
    if (survey.eventLines > 0) return;
    // Some old kernels print two headings with different tracers; the last heading is correct.
    survey.tracer = /^# tracer: (\S+)/.exec(line)?.[1] ?? survey.tracer;
    hasColumns ||= COLUMNS.test(line);
    const entries = /^# entries-in-buffer\/entries-written: (\d+)\/(\d+)/.exec(line);
    if (entries !== null) {
      survey.overwritten = Math.max(0, Number(entries[2]) - Number(entries[1]));
    }
    const format = /^# (\w+) latency trace v\S+ on (\S+)/.exec(line);
    if (format !== null) {
      survey.isLatencyFormat = true;
      [survey.tracer, survey.kernelRelease] = [format[1], format[2]];
    }
    const latency = /^# latency: (\d+) us/.exec(line);
    // With the option latency-format, every tracer prints this heading, so check whether the tracer measures latencies.
    const measures = LATENCY_TRACERS.some((tracer) => tracer === survey.tracer);
    if (latency !== null && measures) survey.latencyUs = Number(latency[1]);
  };

  const textOf = (text: string): void => {
    const named = NAME.exec(text);
    if (named !== null) {
      const [, name, syscall, behind] = named;
      if (name === 'tracing_mark_write') seen.add('ftrace:print');
      else if (name !== undefined) {
        const event = systems.get(name) ?? vectorOf(name);
        if (event === '') otherNames.add(name);
        else seen.add(event);
      } else seen.add(`syscalls:sys_${behind === '(' ? 'enter' : 'exit'}_${syscall.slice(4)}`);
      return;
    }
    const unnamed = unnamedEvent(text);
    if (unnamed !== undefined) seen.add(unnamed);
  };

  const line = (bytes: Uint8Array, from: number, end: number): void => {
    if (bytes[from] === 0x23) {
      heading(Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString('latin1'));
      return;
    }
    const text = survey.isGraph ? -1 : parsePrefix(bytes, from, end, prefix);
    if (text >= 0 && prefix.cpu < MOST_CPUS) {
      survey.hasLines = true;
      survey.eventLines++;
      survey.isPlain ||= prefix.isPlainStamp;
      cpus.add(prefix.cpu);
      textOf(
        Buffer.from(bytes.buffer, bytes.byteOffset + text, Math.min(end - text, LONGEST_LINE)).toString(
          'latin1',
        ),
      );
      return;
    }
    if (isSideLine(bytes, from, end)) return;
    if (survey.hasLines && !survey.isGraph) {
      otherLine(bytes, from, end);
      return;
    }
    const shown = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(end - from, LONGEST_LINE));
    const call = shown.toString('latin1');
    const graph = GRAPH_LINE.exec(call);
    if (graph === null || Number(graph[2]) >= MOST_CPUS) {
      // `graph-lines.ts` parses function_graph lines that do not match `GRAPH_LINE`, so do not count them.
      if (!survey.isGraph) otherLine(bytes, from, end);
      return;
    }
    survey.hasLines = true;
    survey.eventLines++;
    survey.isGraph = true;
    survey.hasGraphDurations ||= GRAPH_DURATION.test(call);
    survey.hasGraphStamps ||= graph[1] !== undefined;
    cpus.add(Number(graph[2]));
  };

  const otherLine = (bytes: Uint8Array, from: number, end: number): void => {
    survey.otherLines++;
    const shown = Buffer.from(bytes.subarray(from, Math.min(end, from + SHOWN)))
      .toString('latin1')
      .trim();
    survey.firstOther ??= { number: number + 1, text: shown };
  };

  const canonical = makeCanonical();
  let number = 0;
  let read = 0;
  const take = (bytes: Uint8Array): void => {
    let from = 0;
    while (from < bytes.length) {
      // A task name can contain a newline, so skip the prefix before searching for the end of the line.
      const text = survey.isGraph ? -1 : parsePrefix(bytes, from, bytes.length, prefix);
      const end = bytes.indexOf(NEWLINE, Math.max(from, text));
      line(bytes, from, end + 1);
      from = end + 1;
      number++;
    }
  };
  for (const piece of pieces) {
    read += piece.length;
    take(canonical.rewrite(piece, false));
  }
  take(canonical.rewrite(new Uint8Array(0), true));
  survey.lines = canonical.lines();
  survey.wholeBytes = canonical.wholeBytes();
  survey.cutBytes = read - survey.wholeBytes;
  survey.isForeign = !canonical.isUnchanged();
  survey.isReport = canonical.isReport();
  survey.isOpen = canonical.isOpen();
  if (survey.isGraph) {
    survey.tracer = 'function_graph';
    for (const event of ['ftrace:funcgraph_entry', 'ftrace:funcgraph_exit']) seen.add(event);
  }
  survey.isEmpty = hasColumns && survey.tracer !== '' && survey.eventLines + survey.otherLines === 0;
  survey.hasLines ||= survey.latencyUs !== undefined;
  survey.tracer ||= 'nop';
  survey.cpus = [...cpus].sort((a, b) => a - b);
  seen.delete('');
  survey.events = [...seen];
  survey.otherNames = [...otherNames];
  return survey;
}

/** Whether a line is empty, belongs to a stack trace, or reports lost events. */
function isSideLine(bytes: Uint8Array, from: number, end: number): boolean {
  if (from + 1 >= end) return true;
  if (bytes[from] === 0x20 && bytes[from + 1] === 0x3d && bytes[from + 2] === 0x3e) return true;
  return parseLoss(bytes, from, end, side) >= 0;
}

const side = { cpu: 0, lost: 0 };

/** Returns `irq_vectors:local_timer_entry` for `local_timer_entry`; '' for names that are not events of this system. */
function vectorOf(name: string): string {
  return /^(?:local_timer|reschedule|call_function(?:_single)?|x86_platform_ipi|irq_work|thermal_apic|error_apic|spurious_apic|threshold_apic|deferred_error_apic)_(?:entry|exit)$/.test(
    name,
  )
    ? `irq_vectors:${name}`
    : '';
}
