/**
 * Names of kernel functions by address: text of /proc/kallsyms (kernel/kallsyms.c, s_show()) or lists of addresses
 * from elsewhere in, `FunctionNames` out. Addresses are two 32-bit words throughout; a double does not hold them.
 *
 * Without CAP_SYSLOG, or with kernel.kptr_restrict 2, kallsyms tells names but no addresses.
 */
import { readFileSync } from 'node:fs';
import { errnoOf } from '../model/errors.ts';
import type { FunctionNames } from '../model/function-names.ts';
import { TWO_POW_32 } from '../model/time.ts';

/** Functions in the order of their addresses. */
export interface SymbolList {
  low: Uint32Array;
  high: Uint32Array;
  names: readonly string[];
  /**
   * How many bytes from its start an address still is a function's: these are starts, and tracers record the patched
   * place, which is no farther behind than `ENTRY`, or where the next symbol begins. Without, these are the patched
   * places themselves, and an address is the nearest one's.
   */
  reach?: Uint8Array;
}

/** Why there are no names. */
export interface NoSymbols {
  reason: string;
}

export interface KnownFunctions extends FunctionNames {
  /** How many functions are known. */
  readonly count: number;
  /** Reads the names anew. What was there stays when they cannot be had now; true when they were. */
  refresh(): boolean;
}

/**
 * From the start of a function to the patched place: `endbr64` on x86, `bti` and a nop on arm64, a second entry on
 * powerpc. Not to the end of the function, for then a module that is not known yet would be the one before it.
 */
const ENTRY = 64;
/** Between what two kernels (or two tracers of one) take for the patched place. */
const NEAR = 16;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Functions of a kallsyms text; `wanted` keeps memory small where only some matter. Of several names for one address
 * the first is it, as for the kernel (get_symbol_pos()).
 */
export function parseKallsyms(
  text: Uint8Array,
  wanted: (name: string) => boolean = () => true,
): SymbolList | NoSymbols {
  const buffer = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const low: number[] = [];
  const high: number[] = [];
  /** Where the name lies; resolved at the end, for those that are kept. */
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
    // "ADDRESS TYPE NAME", and "\t[MODULE]" where there is one. A line of another form is none of ours.
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
        ? '/proc/kallsyms hides the addresses: that takes CAP_SYSLOG, and kernel.kptr_restrict below 2'
        : '/proc/kallsyms has no symbols',
    };
  }
  // Nearly sorted as it comes: the kernel's own, then those of each module.
  const order = low.map((_, i) => i).sort((a, b) => high[a] - high[b] || low[a] - low[b] || a - b);
  return keepWanted(order, { low, high }, (i) => buffer.toString('latin1', nameAt[i], nameEnd[i]), wanted);
}

/** /proc/kallsyms of this machine. */
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

/** Names from the first of the sources that has any, and from that one whenever they are refreshed. */
export function knownFunctions(
  sources: readonly (() => SymbolList | NoSymbols)[],
): KnownFunctions | NoSymbols {
  const reasons: string[] = [];
  for (const source of sources) {
    const list = source();
    if (!('reason' in list)) return namesFrom(list, source);
    reasons.push(list.reason);
  }
  return { reason: reasons.join('; ') || 'there is nowhere to have names of functions from' };
}

function namesFrom(first: SymbolList, source: () => SymbolList | NoSymbols): KnownFunctions {
  let list = first;
  let generation = 1;
  return {
    nameOf: (low, high) => nameIn(list, low >>> 0, high >>> 0),
    get generation() {
      return generation;
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

/** Index of the last symbol at or below an address; -1 when it lies before all. */
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

/** The list of what is wanted; each reaches no farther than to the next symbol, wanted or not. */
function keepWanted(
  order: readonly number[],
  { low, high }: { low: readonly number[]; high: readonly number[] },
  nameOf: (i: number) => string,
  wanted: (name: string) => boolean,
): SymbolList {
  const kept: number[] = [];
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
      kept.push(i);
      names.push(name);
      reach.push(Math.min(toNext, ENTRY));
    }
    at = next;
  }
  return {
    low: Uint32Array.from(kept, (i) => low[i]),
    high: Uint32Array.from(kept, (i) => high[i]),
    names,
    reach: Uint8Array.from(reach),
  };
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  return byte >= 0x41 && byte <= 0x46 ? byte - 0x37 : -1;
}
