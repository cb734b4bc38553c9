/**
 * Text of `trace_pipe` or `trace` in, handler calls out: each line becomes a record in its event's own format, which
 * goes to the same handlers as raw records do.
 *
 * A line that makes no sense costs that line: it is counted, and the next newline is the start of the next. Lines that
 * are no events (comments, stack traces, the banners of function_graph) pass; ` => function` is no event, the line
 * `<stack trace>` before it is one, as the kernel counts.
 */
import type { EventRecord } from '../../model/record.ts';
import type { TimestampNs } from '../../model/time.ts';
import { type Dispatcher, UNHANDLED } from '../dispatch.ts';
import { makeBlockReader } from './blk-line.ts';
import { type BrokenLines, makeBrokenLines } from './broken-lines.ts';
import type { FunctionInterner } from './function-interner.ts';
import { makeGraphReader } from './graph-lines.ts';
import { BLOCK, compileTypes, FUNCTION, type LineType, NUMBER } from './line-types.ts';
import { makeMatcher } from './match.ts';
import { NAME_BYTES } from './name-bytes.ts';
import { hashByte, makeNameLookUp } from './name-table.ts';
import { isLikePrefix, newPrefix, parsePrefix } from './prefix.ts';
import { lineEnd } from './search.ts';
import { parseLoss, type SideLine } from './side-lines.ts';
import type { TextEventType, TextTarget } from './types.ts';
import { numberedEventAt } from './unnamed.ts';

/** More than any event's text has, with the next line's front part: what of a piece of text waits for the rest. */
export const HOLD_BACK = 12_288;
/** Bytes a record takes in the kernel's buffer, where its format is not known. */
const USUAL_RECORD_BYTES = 32;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const COLON = 0x3a;
const OPEN = 0x28;
const HASH = 0x23;

export interface TextDecoderOptions {
  types: readonly TextEventType[];
  dispatcher: Dispatcher;
  functions: FunctionInterner;
  /** CPUs from this number on cannot be: such a line is broken. */
  cpuCount: number;
  /** The text is that of the tracer function_graph. */
  isGraph: boolean;
  /** The last line of the text had no newline of its own: it is a line if it can be read, else it is a cut one. */
  endsOpen?: boolean;
  target: TextTarget;
}

export interface TextDecoder {
  /**
   * Decodes the text in `bytes` between two places, as far as it is complete: what lies behind the place returned is
   * to be given again, with more behind it. `isLast`: there is no more.
   */
  decode(bytes: Uint8Array, from: number, end: number, isLast: boolean): number;
  /** Events so far, those nobody handles included. */
  events(cpu: number): number;
  /** Bytes that these events took in the kernel's buffer, nearly. */
  recordBytes(cpu: number): number;
  /** Events lost as the text itself tells. */
  flaggedLost(cpu: number): number;
  /** Events whose stamp is before that of one that came earlier. */
  lateEvents(): number;
  /** Lines that could not be read, and the first of them. */
  broken(): Pick<BrokenLines, 'count' | 'first'>;
  /** The last line had no newline and could not be read: it is not among the broken ones. */
  endsCut(): boolean;
}

export function makeTextDecoder(options: TextDecoderOptions): TextDecoder {
  const { dispatcher, functions, cpuCount, isGraph, target } = options;
  const endsOpen = options.endsOpen ?? false;
  const { types, scratch } = compileTypes(options.types, dispatcher.slots);
  const matcher = makeMatcher(scratch, functions);
  const named = types.filter((type) => /[:( ]$/.test(type.start));
  const lookUp = makeNameLookUp(named.map((type) => type.start));
  const numbered = types.filter((type) => type.start === NUMBER);
  // Within function_graph the calls of the function tracer are not shown.
  const functionType = isGraph ? undefined : types.find((type) => type.start === FUNCTION);
  const blockType = types.find((type) => type.start === BLOCK);

  const { words, bytes: recordBytes } = scratch;
  const record: EventRecord = { words, bytes: recordBytes, offset: 0, length: 0, cpu: 0, timestampNs: 0 };
  const prefix = newPrefix();
  const side: SideLine = { cpu: 0, lost: 0 };
  const counts = new Float64Array(cpuCount);
  const sizes = new Float64Array(cpuCount);
  const lost = new Float64Array(cpuCount);
  const lossPending = new Uint8Array(cpuCount);
  let late = 0;
  /** Stamp of the youngest event so far. In a column of one: a variable of a closure would be boxed at each. */
  const latest = new Float64Array(1);
  /** The event before is one that nobody handles: where its text ends is not known, and it can have more lines. */
  let inUnknown = false;
  /** Where to go on when a handler fails. */
  let next = 0;
  let lineFrom = 0;
  /** The text in hand, and bytes that were decoded before it. */
  let current: Uint8Array | undefined;
  let started = 0;
  let consumed = 0;
  let isFinal = false;
  let isCut = false;
  const brokenLines = makeBrokenLines(target, cpuCount);

  /** An event that is read: tells a loss before it. */
  const count = (cpu: number, stamp: TimestampNs, size: number): void => {
    counts[cpu]++;
    sizes[cpu] += size;
    if (lossPending[cpu] !== 0) {
      lossPending[cpu] = 0;
      target.onLoss(cpu, stamp);
    }
    if (stamp < latest[0]) late++;
    else latest[0] = stamp;
  };

  const handOut = (type: LineType, length: number): void => {
    const { place } = type;
    words[type.pidWord] = prefix.pid;
    recordBytes[type.flagsByte] = prefix.flags;
    recordBytes[type.preemptByte] = prefix.preemptCount;
    record.offset = place.base;
    record.length = length;
    record.cpu = prefix.cpu;
    record.timestampNs = prefix.timestampNs;
    if (length >= dispatcher.minLengths[type.slot]) dispatcher.call(type.slot, record);
    else target.onError(prefix.cpu, 'short_event');
  };

  const readBlock = blockType && makeBlockReader(scratch, blockType.place);
  const graph = isGraph
    ? makeGraphReader({
        entry: types.find((type) => type.event === 'ftrace:funcgraph_entry'),
        exit: types.find((type) => type.event === 'ftrace:funcgraph_exit'),
        scratch,
        functions,
        cpuCount,
        prefix,
        count: (stamp, size) => count(prefix.cpu, stamp, size),
        handOut: (type) => {
          if (type.slot !== UNHANDLED) handOut(type, type.place.fixedLength);
        },
        comment: (bytes, from, end) => {
          eventText(bytes, from, end);
          // It has an end of its own: no line behind is part of it.
          inUnknown = false;
        },
      })
    : undefined;

  function skipLine(bytes: Uint8Array, from: number, end: number): number {
    const stop = lineEnd(bytes, from, end);
    return stop < 0 ? end : stop;
  }

  /**
   * A line that cannot be read: it may have been either end of what is open, on its own CPU or, where that is not known,
   * on any. What began up to now is void.
   */
  function broken(cpu: number, bytes: Uint8Array, from: number, end: number, why: string): number {
    const stop = skipLine(bytes, from, end);
    // The text of a comment in function_graph lies elsewhere.
    const isLine = bytes === current;
    if (endsOpen && isFinal && isLine && stop === end) {
      isCut = true;
      if (cpu >= 0) counts[cpu]--;
      return stop;
    }
    brokenLines.add(cpu, latest[0], why, {
      bytes,
      from: isLine ? lineFrom : from,
      end: stop,
      offset: consumed + lineFrom - started,
    });
    return stop;
  }

  /** One line, or the lines of one event. Returns where the next begins. */
  function line(bytes: Uint8Array, from: number, end: number): number {
    if (bytes[from] === SPACE) {
      const text = parsePrefix(bytes, from, end, prefix);
      if (text >= 0 && prefix.cpu < cpuCount) {
        inUnknown = false;
        return eventText(bytes, text, end);
      }
    }
    return otherLine(bytes, from, end);
  }

  /** The text of an event, behind its front part. */
  function eventText(bytes: Uint8Array, from: number, end: number): number {
    let pos = from;
    let hash = 0;
    while (NAME_BYTES[bytes[pos]] === 1) hash = hashByte(hash, bytes[pos++]);
    const behind = bytes[pos];
    if (pos > from && (behind === COLON || behind === OPEN || behind === SPACE)) {
      const found = lookUp.find(hashByte(hash, behind), bytes, from, pos + 1);
      if (found >= 0) {
        const start = behind === COLON && bytes[pos + 1] === SPACE ? pos + 2 : pos + 1;
        return namedEvent(named[found], bytes, start, end);
      }
    }
    if (blockType !== undefined && readBlock !== undefined) {
      const stop = readBlock(bytes, from, end);
      if (stop >= 0) return deliver(blockType, blockType.place.fixedLength, stop);
    }
    if (numbered.length > 0 && (bytes[from] === HASH || (bytes[from] >= 0x30 && bytes[from] <= 0x39))) {
      return numberedEvent(bytes, from, end);
    }
    if (functionType !== undefined && pos > from && behind !== COLON) {
      return namedEvent(functionType, bytes, from, end);
    }
    count(prefix.cpu, prefix.timestampNs, USUAL_RECORD_BYTES);
    inUnknown = behind === COLON;
    return skipLine(bytes, pos, end);
  }

  function deliver(type: LineType, length: number, stop: number): number {
    next = stop;
    inUnknown = type.isOpen;
    count(prefix.cpu, prefix.timestampNs, type.recordBytes);
    if (type.slot !== UNHANDLED) handOut(type, length);
    return stop;
  }

  function namedEvent(type: LineType, bytes: Uint8Array, from: number, end: number): number {
    const { programs, place, others } = type;
    for (let i = 0; i < programs.length; i++) {
      const stop = matcher.match(programs[i], place, bytes, from, end);
      if (stop >= 0) return deliver(type, matcher.recordLength(), stop);
    }
    count(prefix.cpu, prefix.timestampNs, type.recordBytes);
    for (let i = 0; i < others.length; i++) {
      const stop = matcher.match(others[i], place, bytes, from, end);
      if (stop >= 0) return stop;
    }
    return broken(prefix.cpu, bytes, from, end, `its text is none that ${type.event} is known to have`);
  }

  function numberedEvent(bytes: Uint8Array, from: number, end: number): number {
    for (let i = 0; i < numbered.length; i++) {
      const type = numbered[i];
      for (let j = 0; j < type.programs.length; j++) {
        const stop = matcher.match(type.programs[j], type.place, bytes, from, end);
        if (stop >= 0) return deliver(type, matcher.recordLength(), stop);
      }
    }
    count(prefix.cpu, prefix.timestampNs, USUAL_RECORD_BYTES);
    const other = numberedEventAt(bytes, from, end);
    if (other !== undefined && !numbered.some(({ event }) => event === other))
      return skipLine(bytes, from, end);
    return broken(prefix.cpu, bytes, from, end, 'it is no record of a tracer that is read');
  }

  /** A line without the usual front part. */
  function otherLine(bytes: Uint8Array, from: number, end: number): number {
    const first = bytes[from];
    if (first === NEWLINE) return from + 1;
    if (first === HASH || first === 0x43) {
      const stop = parseLoss(bytes, from, end, side);
      if (stop >= 0 && side.cpu < cpuCount) {
        lost[side.cpu] += side.lost;
        lossPending[side.cpu] = 1;
        return stop;
      }
      if (first === HASH) return skipLine(bytes, from, end);
    }
    // Stack traces.
    if (first === SPACE && bytes[from + 1] === 0x3d && bytes[from + 2] === 0x3e)
      return skipLine(bytes, from, end);
    if (graph !== undefined) {
      const stop = graph.line(bytes, from, end);
      if (stop >= 0) return stop;
    }
    if (inUnknown && !isLikePrefix(bytes, from, end)) return skipLine(bytes, from, end);
    return broken(-1, bytes, from, end, 'it does not begin as TASK-PID [CPU] FLAGS STAMP: does');
  }

  function lines(bytes: Uint8Array, end: number, limit: number): void {
    while (next < limit) {
      lineFrom = next;
      next = line(bytes, next, end);
    }
  }

  return {
    decode: (bytes, from, end, isLast) => {
      const limit = isLast ? end : end - HOLD_BACK;
      next = from;
      started = from;
      isFinal = isLast;
      current = bytes;
      while (next < limit) {
        try {
          lines(bytes, end, limit);
        } catch (error) {
          // A handler's defect costs its line. Where that ends may be known already.
          if (next === lineFrom) next = skipLine(bytes, next, end);
          target.onError(prefix.cpu, 'handler_failed', error);
          brokenLines.voidUntil(prefix.cpu, latest[0]);
        }
      }
      consumed += next - from;
      return next;
    },
    events: (cpu) => counts[cpu] ?? 0,
    recordBytes: (cpu) => sizes[cpu] ?? 0,
    flaggedLost: (cpu) => lost[cpu] ?? 0,
    lateEvents: () => late,
    broken: () => brokenLines,
    endsCut: () => isCut,
  };
}
