/**
 * Analyses the C expression of an argument in a print fmt, to compute a field's value from the printed text. Source of
 * the macros: include/trace/stages/stage3_trace_output.h.
 */

import { constantValue } from '../constant.ts';
import {
  closing,
  endOfArgument,
  type FlagPair,
  literals,
  pairsBetween,
  withoutLiterals,
} from '../print-fmt.ts';

/**
 * The part of a field that a printed number contains: `field = number × scale + the other parts`, and `number × scale`
 * is less than `span`.
 */
export interface Part {
  field: string;
  scale: number;
  span: number;
}

export type Meaning =
  /** A part of the field is printed as a number. */
  | { kind: 'number'; part: Part }
  /** A part of the field is printed as a name. */
  | { kind: 'symbol'; part: Part; pairs: readonly FlagPair[] }
  /** The names of the set bits, joined with `delimiter`; `none` if no bit is set. */
  | { kind: 'flags'; field: string; pairs: readonly FlagPair[]; delimiter: string; none: string }
  /** One of two texts, depending on the bits of `mask`. */
  | { kind: 'choice'; field: string; mask: number; whenSet: string; whenClear: string }
  | { kind: 'text'; field: string }
  /** No field can be computed from the text. */
  | { kind: 'other'; mayHoldNewline: boolean };

/** Value of `mask` or `span` that means the whole field. */
export const WHOLE = Number.POSITIVE_INFINITY;

const FIELD = /^@(\w+)$/;
const GET_STRING = /^__get_(?:rel_)?str\s*\(\s*(\w+)\s*\)$/;
const FLAGS = /^__print_flags(?:_u64)?\s*\(/;
const SYMBOLIC = /^__print_symbolic(?:_u64)?\s*\(/;
/** Macros that never print bytes that a program chose. */
const WITHOUT_TEXT =
  /^__(?:print_(?:flags|symbolic|hex|array|hex_str|ns_to_secs)|get_(?:bitmask|cpumask|sockaddr))/;
const MOST_BITS = 2 ** 64;

/** Names of all fields that an expression reads. */
export function fieldsRead(expression: string): string[] {
  const matches = [...expression.matchAll(/\bREC\s*->\s*(\w+)|\b__get_\w+\s*\(\s*(\w+)/g)];
  return matches.map((match) => match[1] ?? match[2]);
}

export function meaningOf(expression: string): Meaning {
  // `->` would be parsed as operators.
  const text = bare(expression.replace(/\bREC\s*->\s*/g, '@'));
  const code = withoutLiterals(text);
  const question = topLevel(code, ['?']);
  if (question >= 0) return choiceOf(text, code, question) ?? other(text);
  if (FLAGS.test(text)) return flagsOf(text, code, '') ?? other(text);
  if (SYMBOLIC.test(text)) return symbolOf(text, code) ?? other(text);
  const string = GET_STRING.exec(text);
  if (string !== null) return { kind: 'text', field: string[1] };
  const part = partOf(text);
  return part === undefined ? other(text) : { kind: 'number', part };
}

function other(text: string): Meaning {
  const isLiteral = literals(text) !== undefined && withoutLiterals(text).replace(/"\.*"/g, '').trim() === '';
  return {
    kind: 'other',
    mayHoldNewline: !isLiteral && !WITHOUT_TEXT.test(text) && !isChoiceOfLiterals(text),
  };
}

function isChoiceOfLiterals(text: string): boolean {
  const code = withoutLiterals(text);
  const question = topLevel(code, ['?']);
  if (question < 0) return false;
  const colon = matchingColon(code, question);
  if (colon < 0) return false;
  const isPlain = (branch: string) => {
    const inner = bare(branch);
    return /^"/.test(inner) || WITHOUT_TEXT.test(inner) || isChoiceOfLiterals(inner);
  };
  return isPlain(text.slice(question + 1, colon)) && isPlain(text.slice(colon + 1));
}

/** Parses `condition ? a : b`. */
function choiceOf(text: string, code: string, question: number): Meaning | undefined {
  const colon = matchingColon(code, question);
  if (colon < 0) return undefined;
  const condition = conditionOf(text.slice(0, question));
  if (condition === undefined) return undefined;
  const [set, clear] = [bare(text.slice(question + 1, colon)), bare(text.slice(colon + 1))];
  const none = literalOf(clear);
  if (none === undefined) return undefined;
  if (FLAGS.test(set)) {
    const flags = flagsOf(set, withoutLiterals(set), none);
    return flags?.kind === 'flags' && flags.field === condition.field ? flags : undefined;
  }
  const whenSet = literalOf(set);
  if (whenSet === undefined || whenSet === none) return undefined;
  return { kind: 'choice', ...condition, whenSet, whenClear: none };
}

/** Parses a condition: `field` or `field & mask`. */
function conditionOf(source: string): { field: string; mask: number } | undefined {
  const text = bare(source);
  const whole = FIELD.exec(text);
  if (whole !== null) return { field: whole[1], mask: WHOLE };
  const at = topLevel(text, ['&']);
  if (at < 0) return undefined;
  const field = FIELD.exec(bare(text.slice(0, at)));
  const mask = constantValue(text.slice(at + 1));
  return field === null || mask === undefined || mask <= 0 ? undefined : { field: field[1], mask };
}

function flagsOf(text: string, code: string, none: string): Meaning | undefined {
  const from = text.indexOf('(') + 1;
  const to = closing(code, from);
  const endOfSubject = endOfArgument(code, from, to);
  const endOfDelimiter = endOfArgument(code, endOfSubject + 1, to);
  const subject = conditionOf(text.slice(from, endOfSubject));
  const delimiter = literals(text.slice(endOfSubject + 1, endOfDelimiter)) ?? '';
  const pairs = pairsBetween(text, code, endOfDelimiter, to);
  if (subject === undefined || !isComplete(pairs, code, endOfDelimiter, to)) return undefined;
  return { kind: 'flags', field: subject.field, pairs, delimiter, none };
}

function symbolOf(text: string, code: string): Meaning | undefined {
  const from = text.indexOf('(') + 1;
  const to = closing(code, from);
  const endOfSubject = endOfArgument(code, from, to);
  const part = partOf(text.slice(from, endOfSubject));
  const pairs = pairsBetween(text, code, endOfSubject, to);
  if (part === undefined || !isComplete(pairs, code, endOfSubject, to)) return undefined;
  return { kind: 'symbol', part, pairs };
}

/** Whether `pairs` contains every pair of the text. False if the kernel could not resolve an enum. */
function isComplete(pairs: readonly FlagPair[], code: string, from: number, to: number): boolean {
  return pairs.length > 0 && code.slice(from, to).split('{').length - 1 === pairs.length;
}

/** Parses `field`, `field >> n`, `field & mask`, `(field >> n) & mask`, `field / c` or `field % c`. */
function partOf(source: string): Part | undefined {
  const text = bare(source);
  const whole = FIELD.exec(text);
  if (whole !== null) return { field: whole[1], scale: 1, span: WHOLE };
  const at = topLevel(text, ['>>', '&', '/', '%']);
  if (at < 0) return undefined;
  const operator = text.startsWith('>>', at) ? '>>' : text[at];
  const inner = partOf(text.slice(0, at));
  const value = constantValue(text.slice(at + operator.length));
  if (inner === undefined || value === undefined || value < 0 || value > MOST_BITS) return undefined;
  if (operator === '>>' && inner.span === WHOLE && value < 64)
    return { ...inner, scale: inner.scale * 2 ** value };
  if (operator === '/' && inner.span === WHOLE && value > 0) return { ...inner, scale: inner.scale * value };
  if (operator === '%' && value > 0) return { ...inner, span: inner.scale * value };
  // `& mask` with a mask of the lowest n bits is the same as `% 2^n`.
  if (operator === '&' && Number.isInteger(Math.log2(value + 1)))
    return { ...inner, span: inner.scale * (value + 1) };
  return undefined;
}

function literalOf(text: string): string | undefined {
  return /^"/.test(text) && withoutLiterals(text).replace(/"\.*"/g, '').trim() === ''
    ? literals(text)
    : undefined;
}

/** Strips outer parentheses, leading casts and surrounding space. */
function bare(source: string): string {
  let text = source.trim();
  for (;;) {
    if (!text.startsWith('(')) return text;
    const code = withoutLiterals(text);
    const close = closing(code, 1);
    if (close === code.length - 1) {
      text = text.slice(1, -1).trim();
      continue;
    }
    const inner = text.slice(1, close);
    const isCast = /^[A-Za-z_][\w\s]*\**\s*$/.test(inner) && /^\s*[\w@("]/.test(text.slice(close + 1));
    if (!isCast || topLevel(withoutLiterals(text.slice(close + 1)), OPERATORS) >= 0) return text;
    text = text.slice(close + 1).trim();
  }
}

const OPERATORS = [
  '?',
  '||',
  '&&',
  '|',
  '^',
  '&',
  '==',
  '!=',
  '<=',
  '>=',
  '<<',
  '>>',
  '<',
  '>',
  '+',
  '-',
  '*',
  '/',
  '%',
];
/** Lowest precedence first. */
const PRECEDENCE = [
  ['?'],
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<', '>', '<=', '>='],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Returns the position of the operator that C applies last if it is one of `wanted`; otherwise -1. */
function topLevel(code: string, wanted: readonly string[]): number {
  let best = -1;
  let bestLevel = PRECEDENCE.length;
  let depth = 0;
  for (let at = 0; at < code.length; at++) {
    const c = code[at];
    if (c === '(' || c === '{' || c === '[') depth++;
    else if (c === ')' || c === '}' || c === ']') depth--;
    if (depth > 0) continue;
    const operator = operatorAt(code, at);
    if (operator === '') continue;
    const level = PRECEDENCE.findIndex((operators) => operators.includes(operator));
    // Operators of equal precedence are left-associative, except `?`: `a ? b : c ? d : e` is `a ? b : (c ? d : e)`.
    if (level < bestLevel || (level === bestLevel && level > 0)) {
      best = at;
      bestLevel = level;
    }
    at += operator.length - 1;
  }
  return best >= 0 && wanted.includes(operatorAt(code, best)) ? best : -1;
}

function operatorAt(code: string, at: number): string {
  const two = code.slice(at, at + 2);
  if (OPERATORS.includes(two)) return two;
  const one = code[at];
  if (!OPERATORS.includes(one)) return '';
  // Ignore unary operators, as in `-1`, `*pointer` and `&value`.
  if ((one === '-' || one === '+' || one === '*' || one === '&') && !/[\w)\]"]\s*$/.test(code.slice(0, at)))
    return '';
  return one;
}

function matchingColon(code: string, question: number): number {
  let depth = 0;
  let open = 0;
  for (let at = question + 1; at < code.length; at++) {
    const c = code[at];
    if (c === '(' || c === '{') depth++;
    else if (c === ')' || c === '}') depth--;
    else if (depth === 0 && c === '?') open++;
    else if (depth === 0 && c === ':' && open-- === 0) return at;
  }
  return -1;
}
