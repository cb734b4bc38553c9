/** Decodes an event's line after the prefix: finds the event's type, fills in its record and calls its handler. */
import type { EventRecord } from '../../model/record.ts';
import { type Dispatcher, UNHANDLED } from '../dispatch.ts';
import { makeBlockReader } from './blk-line.ts';
import type { FunctionInterner } from './function-interner.ts';
import { BLOCK, FUNCTION, type LineType, type LineTypes, NUMBER } from './line-types.ts';
import { makeMatcher } from './match.ts';
import { NAME_BYTES } from './name-bytes.ts';
import { hashByte, makeNameLookUp } from './name-table.ts';
import type { LinePrefix } from './prefix.ts';
import type { Scratch } from './scratch.ts';
import { lineEnd } from './search.ts';
import type { Tally } from './tally.ts';
import type { TextTarget } from './types.ts';
import { numberedEventAt } from './unnamed.ts';

/** Assumed size of a record in the kernel's ring buffer, if the format is unknown. */
const USUAL_RECORD_BYTES = 32;

const SPACE = 0x20;
const COLON = 0x3a;
const OPEN = 0x28;
const HASH = 0x23;

export interface TextPosition {
  /** Start of the next line. Set before a handler is called, because the handler can throw. */
  next: number;
  /** The form of the previous event's text is unknown, so the current line can belong to it. */
  inUnknown: boolean;
}

export interface EventTextOptions extends LineTypes {
  functions: FunctionInterner;
  /** The text comes from the tracer function_graph. */
  isGraph: boolean;
  prefix: LinePrefix;
  position: TextPosition;
  tally: Tally;
  /** Calls the handler of a record. */
  handOut(type: LineType, length: number): void;
  /**
   * Counts a line that can't be parsed, and its event of `size` bytes if the line contains a CPU (`cpu` is not -1).
   * Returns where the next line begins.
   */
  broken(cpu: number, size: number, bytes: Uint8Array, from: number, end: number, why: string): number;
}

/** Makes the function that decodes an event's text and returns where the next line begins. */
export function makeEventText(options: EventTextOptions) {
  const { types, scratch, isGraph, prefix, position, tally, handOut, broken } = options;
  const matcher = makeMatcher(scratch, options.functions);
  const named = types.filter((type) => /[:( ]$/.test(type.start));
  const lookUp = makeNameLookUp(named.map((type) => type.start));
  const numbered = types.filter((type) => type.start === NUMBER);
  // function_graph prints no records of the function tracer.
  const functionType = isGraph ? undefined : types.find((type) => type.start === FUNCTION);
  const blockType = types.find((type) => type.start === BLOCK);
  const readBlock = blockType && makeBlockReader(scratch, blockType.place);

  function deliver(type: LineType, length: number, stop: number): number {
    position.next = stop;
    position.inUnknown = type.isOpen;
    tally.count(prefix.cpu, prefix.timestampNs, type.recordBytes);
    if (type.slot !== UNHANDLED) handOut(type, length);
    return stop;
  }

  function namedEvent(type: LineType, bytes: Uint8Array, from: number, end: number): number {
    const { programs, place, others } = type;
    for (let i = 0; i < programs.length; i++) {
      const stop = matcher.match(programs[i], place, bytes, from, end);
      if (stop >= 0) return deliver(type, matcher.recordLength(), stop);
    }
    for (let i = 0; i < others.length; i++) {
      const stop = matcher.match(others[i], place, bytes, from, end);
      if (stop < 0) continue;
      tally.count(prefix.cpu, prefix.timestampNs, type.recordBytes);
      return stop;
    }
    const why = `its text does not match the known formats of ${type.event}`;
    return broken(prefix.cpu, type.recordBytes, bytes, from, end, why);
  }

  function numberedEvent(bytes: Uint8Array, from: number, end: number): number {
    for (let i = 0; i < numbered.length; i++) {
      const type = numbered[i];
      for (let j = 0; j < type.programs.length; j++) {
        const stop = matcher.match(type.programs[j], type.place, bytes, from, end);
        if (stop >= 0) return deliver(type, matcher.recordLength(), stop);
      }
    }
    const size = USUAL_RECORD_BYTES;
    const other = numberedEventAt(bytes, from, end);
    if (other === undefined || numbered.some(({ event }) => event === other))
      return broken(prefix.cpu, size, bytes, from, end, 'it is not a record of a supported tracer');
    tally.count(prefix.cpu, prefix.timestampNs, size);
    return skipLine(bytes, from, end);
  }

  return function eventText(bytes: Uint8Array, from: number, end: number): number {
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
    tally.count(prefix.cpu, prefix.timestampNs, USUAL_RECORD_BYTES);
    position.inUnknown = behind === COLON;
    return skipLine(bytes, pos, end);
  };
}

/** Makes the function that calls the handler of the record in `scratch`, with the values of `prefix`. */
export function makeHandOut(
  { words, bytes }: Scratch,
  prefix: LinePrefix,
  dispatcher: Dispatcher,
  target: Pick<TextTarget, 'onError'>,
) {
  const record: EventRecord = { words, bytes, offset: 0, length: 0, cpu: 0, timestampNs: 0 };
  return (type: LineType, length: number): void => {
    words[type.pidWord] = prefix.pid;
    bytes[type.flagsByte] = prefix.flags;
    bytes[type.preemptByte] = prefix.preemptCount;
    record.offset = type.place.base;
    record.length = length;
    record.cpu = prefix.cpu;
    record.timestampNs = prefix.timestampNs;
    if (length >= dispatcher.minLengths[type.slot]) dispatcher.call(type.slot, record);
    else target.onError(prefix.cpu, 'short_event');
  };
}

export function skipLine(bytes: Uint8Array, from: number, end: number): number {
  const stop = lineEnd(bytes, from, end);
  return stop < 0 ? end : stop;
}
