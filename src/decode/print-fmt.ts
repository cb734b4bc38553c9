/**
 * Reads names of values and bits from an event's print fmt (C source text, `EventFormat.printFmt`). Bits that differ
 * between kernels are named there.
 * Source: include/trace/stages/stage3_trace_output.h (__print_flags, __print_symbolic), include/trace/events/sched.h.
 */
import type { EventFormat } from '../model/format.ts';
import { constantValue } from './constant.ts';

/** A number and its name. */
export type FlagPair = readonly [value: number, name: string];

const CALL = /__print_(flags|symbolic)(?:_u64)?\s*\(/g;
/** A C string literal. */
export const STRING = /"(?:[^"\\]|\\.)*"/g;

/**
 * Returns the pairs of the first `__print_flags` or `__print_symbolic`, or of the first one about `fieldName`. Leaves
 * out values that are not constants (enums the kernel could not resolve). Empty if there is no such call.
 */
export function flagPairs(format: Pick<EventFormat, 'printFmt'>, fieldName?: string): readonly FlagPair[] {
  return callAbout(format, fieldName)?.pairs ?? [];
}

/**
 * Returns a function that gives the name of a field's value as the kernel prints it, with `|` between the names of bits;
 * undefined for values without a name. Undefined if the print fmt has no names for the field. `nth`: the list of names to use, if
 * the print fmt has several for the field.
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
 * Returns the bits of `prev_state` in sched_switch that mean the task went to sleep. If none is set, it was switched
 * out while runnable. The "preempted" bit is not included. Throws an `Error` if the print fmt does not name the bits.
 */
export function switchedOutMask(format: EventFormat): number {
  let mask = 0;
  for (const [bit] of flagPairs(format, 'prev_state')) mask |= bit;
  if (mask !== 0) return mask;
  throw new Error(`${format.system}:${format.name}: its print fmt does not name the bits of prev_state`);
}

/** Blanks out string literals, so that their contents can't be mistaken for code. Keeps the length. */
export function withoutLiterals(text: string): string {
  return text.replace(STRING, (literal) => `"${'.'.repeat(literal.length - 2)}"`);
}

/** Parses the pairs `{ value, "name" }` between two positions. Leaves out pairs whose value is not a constant. */
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

/** Position of the parenthesis that closes the call, or the end of the text. */
export function closing(code: string, from: number): number {
  let depth = 1;
  for (let i = from; i < code.length; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')' && --depth === 0) return i;
  }
  return code.length;
}

/** Position of the comma after the argument that starts at `from`. */
export function endOfArgument(code: string, from: number, to: number): number {
  let depth = 0;
  for (let i = from; i < to; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')') depth--;
    else if (code[i] === ',' && depth === 0) return i;
  }
  return to;
}

/** Joins adjacent C string literals and returns their value. */
export function literals(text: string): string | undefined {
  const parts = text.match(STRING);
  return parts?.map((part) => part.slice(1, -1).replace(/\\(.)/g, '$1')).join('');
}
