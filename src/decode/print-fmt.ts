/**
 * Reads the names of values and flag bits from an event's print fmt, because some values differ between kernels.
 * Source: include/trace/stages/stage3_trace_output.h (__print_flags, __print_symbolic).
 */
import type { EventFormat } from '../model/format.ts';
import { constantValue } from './constant.ts';

export type FlagPair = readonly [value: number, name: string];

const CALL = /__print_(flags|symbolic)(?:_u64)?\s*\(/g;
/** Matches a C string literal. */
export const STRING = /"(?:[^"\\]|\\.)*"/g;

/**
 * Returns the pairs of the first `__print_flags()` or `__print_symbolic()` call, with `fieldName` the first call for
 * this field. Skips pairs whose value is not a constant, such as an enum that the kernel could not resolve.
 */
export function flagPairs(format: Pick<EventFormat, 'printFmt'>, fieldName?: string): readonly FlagPair[] {
  return callAbout(format, fieldName)?.pairs ?? [];
}

/**
 * Returns a function that maps a field's value to its name, or to undefined if the value has no name. Returns undefined
 * if the print fmt has no names for the field. `nth`: which of several calls for the field to use, from 0.
 */
export function printedNames(
  format: Pick<EventFormat, 'printFmt'>,
  fieldName: string,
  nth = 0,
): ((value: number) => string | undefined) | undefined {
  const call = callAbout(format, fieldName, nth);
  if (call === undefined || call.pairs.length === 0) return undefined;
  const { kind, pairs } = call;
  const exact = new Map(pairs.toReversed());
  if (kind === 'symbolic') return (value) => exact.get(value);
  return (value) =>
    exact.get(value) ??
    (pairs
      .filter(([bit]) => bit !== 0 && (value & bit) === bit)
      .map(([, name]) => name)
      .join('|') ||
      undefined);
}

function callAbout(
  format: Pick<EventFormat, 'printFmt'>,
  fieldName: string | undefined,
  nth = 0,
): { kind: string; pairs: readonly FlagPair[] } | undefined {
  const text = format.printFmt;
  const code = withoutLiterals(text);
  let skipped = 0;
  for (const call of code.matchAll(CALL)) {
    const from = call.index + call[0].length;
    const to = closing(code, from);
    const subject = code.slice(from, endOfArgument(code, from, to));
    if (fieldName !== undefined && !new RegExp(`\\bREC->${fieldName}\\b`).test(subject)) continue;
    if (skipped++ < nth) continue;
    return { kind: call[1], pairs: pairsBetween(text, code, from, to) };
  }
  return undefined;
}

/**
 * Returns a mask of the bits of `prev_state` in sched_switch that mean "not runnable". Throws an `Error` if the print
 * fmt does not name the bits.
 */
export function switchedOutMask(format: EventFormat): number {
  let mask = 0;
  for (const [bit] of flagPairs(format, 'prev_state')) mask |= bit;
  if (mask !== 0) return mask;
  throw new Error(`${format.system}:${format.name}: its print fmt does not name the bits of prev_state`);
}

/** Replaces the contents of string literals by dots, so that a search finds only code. Keeps all positions. */
export function withoutLiterals(text: string): string {
  return text.replace(STRING, (literal) => `"${'.'.repeat(literal.length - 2)}"`);
}

/** Parses the pairs `{ value, "name" }` between two positions. Skips values that are not constants. */
export function pairsBetween(text: string, code: string, from: number, to: number): FlagPair[] {
  const pairs: FlagPair[] = [];
  for (let open = code.indexOf('{', from); open >= 0 && open < to; open = code.indexOf('{', open + 1)) {
    const comma = endOfArgument(code, open + 1, to);
    const close = code.indexOf('}', comma);
    if (close < 0) break;
    const value = constantValue(text.slice(open + 1, comma));
    const name = literals(text.slice(comma + 1, close));
    if (value !== undefined && name !== undefined) pairs.push([value, name]);
  }
  return pairs;
}

/** Returns the position of the `)` of the call whose arguments start at `from`, or the end of the text. */
export function closing(code: string, from: number): number {
  let depth = 1;
  for (let i = from; i < code.length; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')' && --depth === 0) return i;
  }
  return code.length;
}

/** Returns the position of the comma after the argument at `from`, or `to` if there is none. */
export function endOfArgument(code: string, from: number, to: number): number {
  let depth = 0;
  for (let i = from; i < to; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')') depth--;
    else if (code[i] === ',' && depth === 0) return i;
  }
  return to;
}

/** Returns the joined contents of all C string literals in the text; undefined if there are none. */
export function literals(text: string): string | undefined {
  const parts = text.match(STRING);
  return parts?.map((part) => part.slice(1, -1).replace(/\\(.)/g, '$1')).join('');
}
