/**
 * What an event's print fmt tells about the values of its fields: bits that move between kernels have their names
 * there. In: `EventFormat.printFmt`, C source text; out: pairs of number and name.
 * Source: include/trace/stages/stage3_trace_output.h (__print_flags, __print_symbolic), include/trace/events/sched.h.
 */
import type { EventFormat } from '../model/format.ts';
import { constantValue } from './constant.ts';

/** A number and its name. */
export type FlagPair = readonly [value: number, name: string];

const CALL = /__print_(?:flags|symbolic)(?:_u64)?\s*\(/g;
/** A C string literal. */
export const STRING = /"(?:[^"\\]|\\.)*"/g;

/**
 * The pairs of the first `__print_flags` or `__print_symbolic`, or of the first about `fieldName`. Values that are
 * no constants (an enum the kernel could not resolve) are left out. Empty when there is none.
 */
export function flagPairs(format: Pick<EventFormat, 'printFmt'>, fieldName?: string): readonly FlagPair[] {
  const text = format.printFmt;
  const code = withoutLiterals(text);
  for (const call of code.matchAll(CALL)) {
    const from = call.index + call[0].length;
    const to = closing(code, from);
    const subject = code.slice(from, endOfArgument(code, from, to));
    if (fieldName !== undefined && !new RegExp(`\\bREC->${fieldName}\\b`).test(subject)) continue;
    return pairsBetween(text, code, from, to);
  }
  return [];
}

/**
 * Bits of `prev_state` in sched_switch that say the task went to sleep; none of them: it was switched out while
 * runnable. The bit that says "preempted" is not among them. Throws an `Error` when the print fmt does not tell.
 */
export function switchedOutMask(format: EventFormat): number {
  let mask = 0;
  for (const [bit] of flagPairs(format, 'prev_state')) mask |= bit;
  if (mask !== 0) return mask;
  throw new Error(`${format.system}:${format.name}: its print fmt does not name the bits of prev_state`);
}

/** Text of the same length in which nothing in string literals can be taken for code. */
export function withoutLiterals(text: string): string {
  return text.replace(STRING, (literal) => `"${'.'.repeat(literal.length - 2)}"`);
}

/** The pairs `{ value, "name" }` between two places; those whose value is no constant are left out. */
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

/** Place of the parenthesis that ends the call, or the end of the text. */
export function closing(code: string, from: number): number {
  let depth = 1;
  for (let i = from; i < code.length; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')' && --depth === 0) return i;
  }
  return code.length;
}

/** Place of the comma behind the argument that begins at `from`. */
export function endOfArgument(code: string, from: number, to: number): number {
  let depth = 0;
  for (let i = from; i < to; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')') depth--;
    else if (code[i] === ',' && depth === 0) return i;
  }
  return to;
}

/** Value of adjacent C string literals. */
export function literals(text: string): string | undefined {
  const parts = text.match(STRING);
  return parts?.map((part) => part.slice(1, -1).replace(/\\(.)/g, '$1')).join('');
}
