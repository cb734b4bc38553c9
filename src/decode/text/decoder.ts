/**
 * Decodes the text of `trace_pipe` or `trace`: converts each line to a record in the event's own format, and calls the
 * handlers of raw records. Ignores lines that are not events, but counts lines that can't be parsed.
 */
import { type Dispatcher, UNHANDLED } from '../dispatch.ts';
import { type BrokenLines, makeBrokenLines } from './broken-lines.ts';
import {
  type EventTextOptions,
  makeEventText,
  makeHandOut,
  skipLine,
  type TextPosition,
} from './event-text.ts';
import type { FunctionInterner } from './function-interner.ts';
import { type GraphReader, makeGraphReader } from './graph-lines.ts';
import { compileTypes } from './line-types.ts';
import { isLikePrefix, newPrefix, parsePrefix } from './prefix.ts';
import { parseLoss, type SideLine } from './side-lines.ts';
import { makeTally, type Tally } from './tally.ts';
import type { TextEventType, TextTarget } from './types.ts';

/** Bytes at the end of a text that the decoder leaves for the next call. No event's prefix and text are longer. */
export const HOLD_BACK = 12_288;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const HASH = 0x23;

export interface TextDecoderOptions {
  types: readonly TextEventType[];
  dispatcher: Dispatcher;
  functions: FunctionInterner;
  /** Number of possible CPUs. A line with a CPU number that is not less counts as broken. */
  cpuCount: number;
  /** The text comes from the tracer function_graph. */
  isGraph: boolean;
  /** The text's last line has no newline. If it can't be parsed, it counts as cut, not as broken. */
  endsOpen?: boolean;
  target: TextTarget;
}

export interface TextDecoder {
  /**
   * Decodes the complete lines between `from` and `end`, and returns the position after them. The caller must pass the
   * remaining bytes again, before the next text. `isLast`: no more text follows.
   */
  decode(bytes: Uint8Array, from: number, end: number, isLast: boolean): number;
  /** Number of a CPU's events, with or without a handler. */
  events(cpu: number): number;
  /** Approximate size of a CPU's events in the kernel's ring buffer. */
  recordBytes(cpu: number): number;
  /** Number of a CPU's lost events, according to the text. */
  flaggedLost(cpu: number): number;
  /** Number of events with an earlier timestamp than a previous event. */
  lateEvents(): number;
  /** Number of unreadable lines, and the first of them. */
  broken(): Pick<BrokenLines, 'count' | 'first'>;
  /** Whether the last line had no newline and could not be parsed. */
  endsCut(): boolean;
}

export function makeTextDecoder(options: TextDecoderOptions): TextDecoder {
  const { dispatcher, functions, cpuCount, isGraph, endsOpen = false, target } = options;
  const { types, scratch } = compileTypes(options.types, dispatcher.slots);
  const prefix = newPrefix();
  const position: TextPosition = { next: 0, inUnknown: false };
  const tally = makeTally(cpuCount, target);
  const handOut = makeHandOut(scratch, prefix, dispatcher, target);
  const brokenLines = makeBrokenLines(target, cpuCount);
  let lineFrom = 0;
  /** The current text, the position at which its decoding started, and the bytes of earlier texts. */
  let current: Uint8Array | undefined;
  let started = 0;
  let consumed = 0;
  let isFinal = false;
  let isCut = false;

  /**
   * Counts a line that can't be parsed, and makes probes drop the operations in progress on its CPU (-1: on all CPUs).
   */
  const broken: EventTextOptions['broken'] = (cpu, size, bytes, from, end, why) => {
    const stop = skipLine(bytes, from, end);
    // For a comment of function_graph, `bytes` is a copy.
    const isLine = bytes === current;
    if (endsOpen && isFinal && isLine && stop === end) {
      isCut = true;
      return stop;
    }
    if (cpu >= 0) tally.count(cpu, prefix.timestampNs, size);
    const offset = consumed + lineFrom - started;
    brokenLines.add(cpu, tally.latestNs(), why, { bytes, from: isLine ? lineFrom : from, end: stop, offset });
    return stop;
  };

  const event = { types, scratch, functions, isGraph, prefix, position, tally, handOut, broken };
  const eventText = makeEventText(event);
  const graph = isGraph
    ? makeGraphReader({
        entry: types.find((type) => type.event === 'ftrace:funcgraph_entry'),
        exit: types.find((type) => type.event === 'ftrace:funcgraph_exit'),
        scratch,
        functions,
        cpuCount,
        prefix,
        count: (stamp, size) => tally.count(prefix.cpu, stamp, size),
        handOut: (type) => {
          if (type.slot !== UNHANDLED) handOut(type, type.place.fixedLength);
        },
        comment: (bytes, from, end) => {
          eventText(bytes, from, end);
          // A comment ends with ` */`: the next line can't continue it.
          position.inUnknown = false;
        },
      })
    : undefined;
  const otherLine = makeOtherLines({ graph, cpuCount, position, tally, broken });

  /** Decodes all events that begin before `limit`; the last one can end after it. */
  function lines(bytes: Uint8Array, end: number, limit: number): void {
    while (position.next < limit) {
      const from = position.next;
      lineFrom = from;
      const text = bytes[from] === SPACE ? parsePrefix(bytes, from, end, prefix) : -1;
      if (text >= 0 && prefix.cpu < cpuCount) {
        position.inUnknown = false;
        position.next = eventText(bytes, text, end);
      } else position.next = otherLine(bytes, from, end);
    }
  }

  return {
    decode: (bytes, from, end, isLast) => {
      const limit = isLast ? end : end - HOLD_BACK;
      position.next = from;
      started = from;
      isFinal = isLast;
      current = bytes;
      while (position.next < limit) {
        try {
          lines(bytes, end, limit);
        } catch (error) {
          // If a handler throws, skip only the current line.
          if (position.next === lineFrom) position.next = skipLine(bytes, lineFrom, end);
          target.onError(prefix.cpu, 'handler_failed', error);
          brokenLines.voidUntil(prefix.cpu, tally.latestNs());
        }
      }
      consumed += position.next - from;
      return position.next;
    },
    events: tally.events,
    recordBytes: tally.recordBytes,
    flaggedLost: tally.flaggedLost,
    lateEvents: tally.lateEvents,
    broken: () => brokenLines,
    endsCut: () => isCut,
  };
}

/** Makes the decoder of lines without the usual prefix. It returns where the next line begins. */
function makeOtherLines(options: {
  graph: GraphReader | undefined;
  cpuCount: number;
  position: TextPosition;
  tally: Tally;
  broken: EventTextOptions['broken'];
}) {
  const { graph, cpuCount, position, tally, broken } = options;
  const side: SideLine = { cpu: 0, lost: 0 };
  return (bytes: Uint8Array, from: number, end: number): number => {
    const first = bytes[from];
    if (first === NEWLINE) return from + 1;
    if (first === HASH || first === 0x43) {
      const stop = parseLoss(bytes, from, end, side);
      if (stop >= 0 && side.cpu < cpuCount) {
        tally.lose(side.cpu, side.lost);
        return stop;
      }
      if (first === HASH) return skipLine(bytes, from, end);
    }
    // A line ` => function` of a stack trace.
    if (first === SPACE && bytes[from + 1] === 0x3d && bytes[from + 2] === 0x3e)
      return skipLine(bytes, from, end);
    if (graph !== undefined) {
      const stop = graph.line(bytes, from, end);
      if (stop >= 0) return stop;
    }
    if (position.inUnknown && !isLikePrefix(bytes, from, end)) return skipLine(bytes, from, end);
    return broken(-1, 0, bytes, from, end, 'it does not begin with TASK-PID [CPU] FLAGS TIMESTAMP:');
  };
}
