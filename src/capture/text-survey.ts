/**
 * What a text of `trace` or `trace_pipe` tells of itself: pieces of it in, headings, CPUs and events out.
 * Source: kernel/trace/trace.c, print_event_info() and print_trace_header().
 */

import { BLOCK_EVENT } from '../decode/text/blk-format.ts';
import { KNOWN_EVENTS } from '../decode/text/known-formats.ts';
import { newPrefix, parsePrefix } from '../decode/text/prefix.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';

export interface TextSurvey {
  /** There is a line that is an event. */
  hasLines: boolean;
  tracer: string;
  isGraph: boolean;
  hasGraphStamps: boolean;
  /** Ascending. */
  cpus: number[];
  /** Events, `system:name`, of those that are known. */
  events: string[];
  /** Stamps are plain numbers. */
  isPlain: boolean;
  overwritten: number;
  latencyUs: number | undefined;
  kernelRelease: string;
  /** Lines that have an end. */
  lines: number;
  /** Bytes up to the end of the last of them. */
  wholeBytes: number;
  /** Bytes behind it. */
  cutBytes: number;
}

/** A CPU from here on is none. */
const MOST_CPUS = 8192;
const NEWLINE = 0x0a;
const GRAPH_LINE = /^ *(?:(\d+)\.\d{6} \| +)?(\d+)\) .{12}.*\|/;
const NAME = /^(?:([A-Za-z_]\w*): |(sys_\w+)( -> 0x|\())/;
/** What a line begins with that has no name. */
const UNNAMED: readonly (readonly [string, RegExp])[] = [
  ['ftrace:timerlat', /^#\d+ +context +(?:irq|thread|user-ret) /],
  ['ftrace:hwlat', /^#\d+ +inner\/outer/],
  ['ftrace:osnoise', /^\d+ +\d+ +\d+\.\d{5} /],
  [BLOCK_EVENT, /^ *\d+,\d+ /],
  ['ftrace:function', /^[\w.$]+(?:\(.*\))? <-/],
];
/** More lines than these are not looked at for their text: all events there are will have been. */
const LONGEST_LINE = 512;
const LONGEST_REST = 1 << 16;

export function surveyText(pieces: Iterable<Uint8Array>): TextSurvey {
  const survey: TextSurvey = {
    hasLines: false,
    tracer: '',
    isGraph: false,
    hasGraphStamps: false,
    cpus: [],
    events: [],
    isPlain: false,
    overwritten: 0,
    latencyUs: undefined,
    kernelRelease: '',
    lines: 0,
    wholeBytes: 0,
    cutBytes: 0,
  };
  const systems = new Map(KNOWN_EVENTS.map((event) => [event.slice(event.indexOf(':') + 1), event]));
  const seen = new Set<string>();
  const cpus = new Set<number>();
  const prefix = newPrefix();

  const heading = (line: string): void => {
    survey.tracer ||= /^# tracer: (\S+)/.exec(line)?.[1] ?? '';
    const entries = /^# entries-in-buffer\/entries-written: (\d+)\/(\d+)/.exec(line);
    if (entries !== null) survey.overwritten = Math.max(0, Number(entries[2]) - Number(entries[1]));
    survey.kernelRelease ||= /^# \w+ latency trace v\S+ on (\S+)/.exec(line)?.[1] ?? '';
    const latency = /^# latency: (\d+) us/.exec(line);
    // `latency-format` gives the trace of any tracer this heading.
    const measures = LATENCY_TRACERS.some((tracer) => tracer === survey.tracer);
    if (latency !== null && measures) survey.latencyUs = Number(latency[1]);
  };

  const textOf = (text: string): void => {
    const named = NAME.exec(text);
    if (named !== null) {
      const [, name, syscall, behind] = named;
      if (name === 'tracing_mark_write') seen.add('ftrace:print');
      else if (name !== undefined) seen.add(systems.get(name) ?? vectorOf(name));
      else seen.add(`syscalls:sys_${behind === '(' ? 'enter' : 'exit'}_${syscall.slice(4)}`);
      return;
    }
    for (const [event, pattern] of UNNAMED) if (pattern.test(text)) seen.add(event);
  };

  const line = (bytes: Uint8Array, from: number, end: number): void => {
    if (bytes[from] === 0x23) {
      heading(Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString('latin1'));
      return;
    }
    const text = survey.isGraph ? -1 : parsePrefix(bytes, from, end, prefix);
    if (text >= 0 && prefix.cpu < MOST_CPUS) {
      survey.hasLines = true;
      survey.isPlain ||= prefix.isPlainStamp;
      cpus.add(prefix.cpu);
      textOf(
        Buffer.from(bytes.buffer, bytes.byteOffset + text, Math.min(end - text, LONGEST_LINE)).toString(
          'latin1',
        ),
      );
      return;
    }
    if (survey.hasLines && !survey.isGraph) return;
    const graph = GRAPH_LINE.exec(
      Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(end - from, LONGEST_LINE)).toString(
        'latin1',
      ),
    );
    if (graph === null || Number(graph[2]) >= MOST_CPUS) return;
    survey.hasLines = true;
    survey.isGraph = true;
    survey.hasGraphStamps ||= graph[1] !== undefined;
    cpus.add(Number(graph[2]));
  };

  let rest = new Uint8Array(0);
  let read = 0;
  for (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const start = read - rest.length;
    read += piece.length;
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      line(bytes, from, end + 1);
      from = end + 1;
      survey.lines++;
      survey.wholeBytes = start + from;
    }
    // What goes on for so long is no line: a hole in the file, say. Nothing of it is looked at.
    rest = bytes.length - from > LONGEST_REST ? new Uint8Array(0) : Uint8Array.from(bytes.subarray(from));
  }
  survey.cutBytes = read - survey.wholeBytes;
  if (survey.isGraph) {
    survey.tracer = 'function_graph';
    for (const event of ['ftrace:funcgraph_entry', 'ftrace:funcgraph_exit']) seen.add(event);
  }
  survey.hasLines ||= survey.latencyUs !== undefined;
  survey.tracer ||= 'nop';
  survey.cpus = [...cpus].sort((a, b) => a - b);
  seen.delete('');
  survey.events = [...seen];
  return survey;
}

/** `local_timer_entry`: one of a family whose members are not all known. */
function vectorOf(name: string): string {
  return /^(?:local_timer|reschedule|call_function(?:_single)?|x86_platform_ipi|irq_work|thermal_apic|error_apic|spurious_apic|threshold_apic|deferred_error_apic)_(?:entry|exit)$/.test(
    name,
  )
    ? `irq_vectors:${name}`
    : '';
}
