/**
 * Parses the kernel's text of a buffer with the simplest means, apart from the product's own reader, so that tests can
 * compare the two. Source: kernel/trace/trace_output.c (trace_print_context()), trace_functions_graph.c. Names of tasks
 * in the lab contain nothing that looks like a line.
 */
import assert from 'node:assert/strict';
import { CPUS } from './lab.ts';

export interface TextLine {
  pid: number;
  cpu: number;
  /** As printed; the kernel has rounded it. */
  micros: number;
  /** The text after the time stamp. */
  body: string;
}

const LINE = /-(\d+)\s+(?:\([ \d-]+\)\s+)?\[(\d+)\]\s+\S+\s+(\d+)\.(\d{6}): (.*)$/;

/** `comm-pid [cpu] flags seconds.micros: body`. The pattern is anchored to the right of comm. */
export function lineOf(line: string): TextLine {
  const match = LINE.exec(line);
  assert.ok(match, `not understood: ${line}`);
  const [, pid, cpu, seconds, micros, body] = match;
  return { pid: Number(pid), cpu: Number(cpu), micros: Number(seconds) * 1e6 + Number(micros), body };
}

/** A time stamp in whole microseconds as the kernel prints it: trace_output.c, ns2usecs(), rounds. */
export function microsOf(timestampNs: number): number {
  return Math.floor((timestampNs + 500) / 1000);
}

/** Calls by `function cpu` in the text of the tracer function. */
export function callsIn(recording: { text(cpu: number): string[] }): Map<string, number> {
  const calls = new Map<string, number>();
  for (const cpu of CPUS) {
    for (const line of recording.text(cpu)) {
      const key = `${lineOf(line).body.split(' ')[0]} ${cpu}`;
      calls.set(key, (calls.get(key) ?? 0) + 1);
    }
  }
  return calls;
}

export function totalOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

export interface GraphLine {
  kind: 'call' | 'leaf' | 'return';
  pid: number;
  cpu: number;
  /** As printed; the kernel has cut it off. */
  micros: number;
  depth: number;
  name: string;
  /** Digits of the duration as printed; '' for a call. */
  duration: string;
}

/** Lines of function_graph with the options funcgraph-abstime, -proc and -tail, without lines that describe no call. */
export function graphLines(lines: readonly string[]): GraphLine[] {
  return lines.filter((line) => !isGraphNote(line)).map(graphLine);
}

/**
 * Lines to skip: rulers and the task switches between them, the start and end of interrupts, and calls that are too
 * deep. Up to 6.12 all instances share the options of function_graph, and the agent's text reader has the kernel print
 * these.
 */
function isGraphNote(line: string): boolean {
  return /^ -{20,}$|^ *\d+\) +.* => +\S|={6,}>|<={6,}|^ *\(Overruns: \d+\)$/.test(line);
}

function graphLine(line: string): GraphLine {
  const [time, task, cost, call] = line.split('|');
  const stamp = /^ *(\d+)\.(\d{6}) $/.exec(time);
  const who = /^ *(\d+)\) .*-(\d+) +$/.exec(task ?? '');
  const what = /^ {2}((?: {2})*)(?:([^ ].*?)\((\) \{|\);)|\} \/\* (.*) \*\/)$/.exec(call ?? '');
  assert.ok(stamp !== null && who !== null && what !== null, `not understood: ${line}`);
  const [, indent, called, shape, returned] = what;
  return {
    kind: returned !== undefined ? 'return' : shape === ') {' ? 'call' : 'leaf',
    cpu: Number(who[1]),
    pid: Number(who[2]),
    micros: Number(stamp[1]) * 1e6 + Number(stamp[2]),
    depth: indent.length / 2,
    name: called ?? returned,
    duration: /([\d.]+) us/.exec(cost)?.[1] ?? '',
  };
}

/** Digits of a duration as function_graph prints them: at most eight characters, cut off, not rounded. */
export function graphDuration(durationNs: number): string {
  const micros = String(Math.floor(durationNs / 1000));
  if (micros.length >= 7) return micros;
  return `${micros}.${String(durationNs % 1000).padStart(3, '0')}`.slice(0, 8);
}
