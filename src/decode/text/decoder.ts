/**
 * Decodes the text of `trace_pipe` or `trace`: each line becomes a record in its event's own format and goes to the same
 * handlers as raw records.
 *
 * An unreadable line is counted and skipped; decoding goes on after the next newline. Lines that are not events
 * (comments, stack traces, banners of function_graph) are ignored. A stack trace's ` => function` lines are not events,
 * but the `<stack trace>` line before them is one: the kernel counts it so.
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

/** Longer than any event's text plus the next line's prefix. This much of a piece waits for the next piece. */
export const HOLD_BACK = 12_288;
/** Bytes a record takes in the kernel's buffer, if its format is unknown. */
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
  /** CPU numbers from this one up are impossible: such a line is broken. */
  cpuCount: number;
  /** The text comes from the tracer function_graph. */
  isGraph: boolean;
  /** The text's last line has no newline. It counts as a line if it can be parsed, otherwise as a cut line. */
  endsOpen?: boolean;
  target: TextTarget;
}

export interface TextDecoder {
  /**
   * Decodes the complete lines between two positions of `bytes`, and returns where it stopped. Pass the rest again with
   * the next text. `isLast`: no more text follows.
   */
  decode(bytes: Uint8Array, from: number, end: number, isLast: boolean): number;
  /** Events of a CPU so far, including those without a handler. */
  events(cpu: number): number;
  /** Approximate bytes that these events took in the kernel's buffer. */
  recordBytes(cpu: number): number;
  /** Lost events, according to the text itself. */
  flaggedLost(cpu: number): number;
  /** Events with an earlier timestamp than one before them. */
  lateEvents(): number;
  /** Number of unreadable lines, and the first of them. */
  broken(): Pick<BrokenLines, 'count' | 'first'>;
  /** The last line had no newline and could not be parsed. It is not counted as broken. */
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
  // function_graph does not show the calls of the function tracer.
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
  /** Latest timestamp so far. In an array, because V8 would box a closure's double at each write. */
  const latest = new Float64Array(1);
  /** The previous event has no handler. We don't know where its text ends; it can have more lines. */
  let inUnknown = false;
  /** Where to continue if a handler fails. */
  let next = 0;
  let lineFrom = 0;
  /** The current text, and the number of bytes decoded before it. */
  let current: Uint8Array | undefined;
  let started = 0;
  let consumed = 0;
  let isFinal = false;
  let isCut = false;
  const brokenLines = makeBrokenLines(target, cpuCount);

  /** Counts an event that was read. Announces a pending loss first. */
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
          // It has an end of its own: the next line is not part of it.
          inUnknown = false;
        },
      })
    : undefined;

  function skipLine(bytes: Uint8Array, from: number, end: number): number {
    const stop = lineEnd(bytes, from, end);
    return stop < 0 ? end : stop;
  }

  /**
   * Counts a line that can't be parsed. It may have been the start or end of whatever is open on its CPU, or on any CPU if
   * the line does not say: everything that began before it becomes void.
   */
  function broken(cpu: number, bytes: Uint8Array, from: number, end: number, why: string): number {
    const stop = skipLine(bytes, from, end);
    // The text of a comment in function_graph is in another buffer.
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

  /** Decodes one line, or the lines of one event. Returns where the next begins. */
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

  /** Decodes an event's text, after the prefix. */
  function eventText(bytes: Uint8Array, from: number, end: number): number {
    let pos = from;
    let hash = 0;
    while (NAME_BYTES[bytes[pos]] === 1) hash = hashByte(hash, bytes[pos++]);
    const behind = bytes[pos];
    if (pos > from && (behind === COLON || behind === OPEN || behind === SPACE)) {
      const name = lookUp.find(hashByte(hash, behind), bytes, from, pos + 1);
      if (name >= 0) {
        const start = behind === COLON && bytes[pos + 1] === SPACE ? pos + 2 : pos + 1;
        return namedEvent(named[name], bytes, start, end);
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
    return broken(prefix.cpu, bytes, from, end, `its text does not match the known formats of ${type.event}`);
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
    return broken(prefix.cpu, bytes, from, end, 'it is not a record of a supported tracer');
  }

  /** Decodes a line without the usual prefix. */
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
    return broken(-1, bytes, from, end, 'it does not begin with TASK-PID [CPU] FLAGS TIMESTAMP:');
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
          // A defect in a handler costs its line. The end of the line may be known already.
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
