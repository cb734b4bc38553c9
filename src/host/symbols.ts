/**
 * Finds kernel functions by address, in /proc/kallsyms or other lists. An address is two 32-bit words, because a double
 * cannot hold it exactly. A *patched place* is the instruction of a function that ftrace replaces with a call to its
 * own code. Tracers record the address of this instruction.
 */
import { readFileSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';
import type { FunctionNames } from '../model/function-names.ts';
import { TWO_POW_32 } from '../model/time.ts';

/** Functions, sorted by address. The elements with the same index belong to one function. */
export interface SymbolList {
  low: Uint32Array;
  high: Uint32Array;
  names: readonly string[];
  /**
   * Per function: an address less than this many bytes after the start counts as the patched place. Absent if `low` and
   * `high` contain patched places instead of starts.
   */
  reach?: Uint8Array;
}

export interface NoSymbols {
  reason: string;
}

export interface KnownFunctions extends FunctionNames {
  readonly count: number;
  /** Reads the names again. If they cannot be read, returns false and keeps the old names. */
  refresh(): boolean;
}

/** Maximum distance in bytes from a function's start to its patched place. A larger maximum would give wrong names. */
const ENTRY = 64;
/** An address has no name if it is this many bytes or more from the nearest patched place. */
const NEAR = 16;

/** An address this many bytes or more after the start of a function belongs to code without a symbol. */
const LARGEST_FUNCTION = 65_536;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/** Parses the functions in a kallsyms text. If an address has several names, the first counts, as in the kernel. */
export function parseKallsyms(
  text: Uint8Array,
  wanted: (name: string) => boolean = () => true,
): SymbolList | NoSymbols {
  const buffer = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const low: number[] = [];
  const high: number[] = [];
  /** Offset of each name in the text. `keepWanted` decodes the names later, at most one per address. */
  const nameAt: number[] = [];
  const nameEnd: number[] = [];
  let seen = false;
  for (let at = 0; at < buffer.length; ) {
    let end = buffer.indexOf(NEWLINE, at);
    if (end < 0) end = buffer.length;
    let h = 0;
    let l = 0;
    let i = at;
    for (; i < end && buffer[i] !== SPACE; i++) {
      const digit = hexDigit(buffer[i]);
      if (digit < 0) break;
      h = (h << 4) | (l >>> 28);
      l = (l << 4) | digit;
    }
    // The format is "ADDRESS TYPE NAME", with "\t[MODULE]" for modules. Other lines are skipped.
    const type = buffer[i + 1] | 0x20;
    if (i > at && i + 3 < end && buffer[i] === SPACE && buffer[i + 2] === SPACE) {
      seen = true;
      if ((type === 0x74 || type === 0x77) && (h !== 0 || l !== 0)) {
        let stop = i + 3;
        while (stop < end && buffer[stop] !== TAB && buffer[stop] !== SPACE) stop++;
        low.push(l >>> 0);
        high.push(h >>> 0);
        nameAt.push(i + 3);
        nameEnd.push(stop);
      }
    }
    at = end + 1;
  }
  if (low.length === 0) {
    return {
      reason: seen
        ? '/proc/kallsyms hides the addresses: it shows them only with CAP_SYSLOG and kernel.kptr_restrict below 2'
        : '/proc/kallsyms has no symbols',
    };
  }
  // Sort by address, because the text lists the symbols of the kernel first and the symbols of each module after them.
  const order = low.map((_, i) => i).sort((a, b) => high[a] - high[b] || low[a] - low[b] || a - b);
  return keepWanted(order, { low, high }, (i) => buffer.toString('latin1', nameAt[i], nameEnd[i]), wanted);
}

export function readKallsyms(
  wanted: (name: string) => boolean = () => true,
  file = '/proc/kallsyms',
): SymbolList | NoSymbols {
  let text: Uint8Array;
  try {
    text = readFileSync(file);
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return { reason: `${file}: ${errnoOf(error)}` };
  }
  return parseKallsyms(text, wanted);
}

/** Uses the first source that has names. `nameOf` expects a patched place or, with `isInside`, any address. */
export function knownFunctions(
  sources: readonly (() => SymbolList | NoSymbols)[],
  isInside = false,
): KnownFunctions | NoSymbols {
  const reasons: string[] = [];
  for (const source of sources) {
    const list = source();
    if (!('reason' in list)) return namesFrom(list, source, isInside ? nameAround : nameIn);
    reasons.push(list.reason);
  }
  return { reason: reasons.join('; ') || 'no source of function names' };
}

function namesFrom(
  first: SymbolList,
  source: () => SymbolList | NoSymbols,
  find: typeof nameIn,
): KnownFunctions {
  let list = first;
  let generation = 1;
  return {
    nameOf: (low, high) => find(list, low >>> 0, high >>> 0),
    get generation() {
      return generation;
    },
    missing: (names) => {
      const present = new Set(list.names);
      return [...names].filter((name) => !present.has(name));
    },
    get count() {
      return list.names.length;
    },
    refresh: () => {
      const next = source();
      if ('reason' in next) return false;
      list = next;
      generation++;
      return true;
    },
  };
}

function nameIn(list: SymbolList, low: number, high: number): string | undefined {
  const at = lastNotAbove(list, low, high);
  const distance = (i: number) => (high - list.high[i]) * TWO_POW_32 + (low - list.low[i]);
  if (list.reach !== undefined) {
    return at >= 0 && distance(at) < list.reach[at] ? list.names[at] : undefined;
  }
  const below = at >= 0 ? distance(at) : Number.POSITIVE_INFINITY;
  const above = at + 1 < list.names.length ? -distance(at + 1) : Number.POSITIVE_INFINITY;
  if (Math.min(below, above) >= NEAR) return undefined;
  return below <= above ? list.names[at] : list.names[at + 1];
}

/** Finds the function that contains an address. The address can be a few bytes before the patched place. */
function nameAround(list: SymbolList, low: number, high: number): string | undefined {
  const at = lastNotAbove(list, low + (list.reach === undefined ? NEAR : 0), high);
  if (at < 0) return undefined;
  const distance = (high - list.high[at]) * TWO_POW_32 + (low - list.low[at]);
  return distance < LARGEST_FUNCTION ? list.names[at] : undefined;
}

/** Returns the index of the last symbol at or below an address; -1 if there is none. */
function lastNotAbove(list: SymbolList, low: number, high: number): number {
  let from = 0;
  let to = list.names.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const above = list.high[middle] > high || (list.high[middle] === high && list.low[middle] > low);
    if (above) to = middle;
    else from = middle + 1;
  }
  return from - 1;
}

/** Selects wanted symbols. `order` contains all indexes by address, because unwanted symbols also end a reach. */
function keepWanted(
  order: readonly number[],
  { low, high }: { low: readonly number[]; high: readonly number[] },
  nameOf: (i: number) => string,
  wanted: (name: string) => boolean,
): SymbolList {
  const wantedIndexes: number[] = [];
  const names: string[] = [];
  const reach: number[] = [];
  for (let at = 0; at < order.length; ) {
    const i = order[at];
    let next = at + 1;
    while (next < order.length && low[order[next]] === low[i] && high[order[next]] === high[i]) next++;
    const name = nameOf(i);
    if (wanted(name)) {
      const j = order[next];
      const toNext = j === undefined ? ENTRY : (high[j] - high[i]) * TWO_POW_32 + (low[j] - low[i]);
      wantedIndexes.push(i);
      names.push(name);
      reach.push(Math.min(toNext, ENTRY));
    }
    at = next;
  }
  return {
    low: Uint32Array.from(wantedIndexes, (i) => low[i]),
    high: Uint32Array.from(wantedIndexes, (i) => high[i]),
    names,
    reach: Uint8Array.from(reach),
  };
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  return byte >= 0x41 && byte <= 0x46 ? byte - 0x37 : -1;
}
