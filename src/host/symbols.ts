/**
 * Finds names of kernel functions by address, in the text of /proc/kallsyms (kernel/kallsyms.c, s_show()) or in other
 * lists. An address is two 32-bit words, because a double cannot represent it exactly.
 *
 * Without CAP_SYSLOG, or with kernel.kptr_restrict 2, kallsyms shows names without addresses. A patched place is the
 * address in a function where ftrace patches in a call; tracers record this address.
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
   * One number per function, at most `ENTRY`: an address less than this many bytes after the function's start counts as
   * the function's patched place. Absent if `low` and `high` contain patched places instead of starts. An address then
   * belongs to the nearest patched place.
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

/**
 * Maximum distance in bytes from the start of a function to its patched place. Before the patched place, a function can
 * contain `endbr64` (x86), `bti` and a nop (arm64), or the code of the global entry point (powerpc). With a larger
 * maximum, an address in an unknown module would get the name of the preceding symbol.
 */
const ENTRY = 64;
/**
 * An address this many bytes or more from the nearest patched place has no name. The distance is not always 0, because
 * two kernels or two tracers can report different patched places of one function.
 */
const NEAR = 16;

/** An address this many bytes or more after the start of a function belongs to code without a symbol. */
const LARGEST_FUNCTION = 65_536;

const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Parses the functions in a kallsyms text. `wanted` selects functions by name, to save memory. If an address has
 * several names, the first name counts, as in the kernel (get_symbol_pos()).
 */
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

/**
 * Returns the names from the first source that has names; if no source has names, the reasons. `refresh` uses the same
 * source. If `isInside`, `nameOf` expects any address in a function; otherwise it expects a patched place.
 */
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

/**
 * Finds the function that contains an address. In a list of patched places, the address can be a few bytes before the
 * patched place, because a patched place is not at the start of the function.
 */
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

/**
 * Selects the wanted symbols. `order`: indexes of all symbols, sorted by address. The reach of a symbol ends at the
 * next symbol, even if the next symbol is not wanted.
 */
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
