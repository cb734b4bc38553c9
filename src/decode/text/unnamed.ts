/** Identifies the event of a line without an event name. */
import { BLOCK_EVENT } from './blk-format.ts';

const UNNAMED: readonly (readonly [string, RegExp])[] = [
  ['ftrace:timerlat', /^#\d+ +context +(?:irq|thread|user-ret) /],
  ['ftrace:hwlat', /^#\d+ +inner\/outer/],
  ['ftrace:osnoise', /^\d+ +\d+ +\d+\.\d{5} /],
  [BLOCK_EVENT, /^ *\d+,\d+ /],
  ['ftrace:function', /^[\w.$]+(?:\(.*\))? <-/],
];
const LOOKED_AT = 64;

/** Returns the event (`system:name`), or undefined. `text`: the line after the prefix. */
export function unnamedEvent(text: string): string | undefined {
  return UNNAMED.find(([, pattern]) => pattern.test(text))?.[0];
}

export function numberedEventAt(bytes: Uint8Array, from: number, end: number): string | undefined {
  return unnamedEvent(Buffer.from(bytes.subarray(from, Math.min(end, from + LOOKED_AT))).toString('latin1'));
}
