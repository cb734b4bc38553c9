/**
 * Splits an event's print fmt into literals and conversions with their arguments. Source of the conversions:
 * lib/vsprintf.c, format_decode() and pointer().
 */
import { endOfArgument, STRING, withoutLiterals } from '../print-fmt.ts';

export interface Literal {
  kind: 'literal';
  /** One character per byte. */
  text: string;
}

export interface Conversion {
  kind: 'conversion';
  /** The conversion as written, such as `%-5u`. */
  spec: string;
  /** Form of the output. `word`: any other text without a newline. */
  looks: 'decimal' | 'hex' | 'octal' | 'char' | 'string' | 'symbol' | 'word';
  /** Minimum width in columns; 0 if not specified. */
  width: number;
  /** Padded on the right. */
  leftAligned: boolean;
  /** C expression of the value. */
  argument: string;
}

export type Piece = Literal | Conversion;

const SPEC = /%([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+)?)?(?:hh|h|ll|l|L|q|j|z|t)?(p[A-Za-z0-9]*|[A-Za-z%])/y;
const SYMBOL = /^p[sSfFB]/;

/** Throws an `Error` with the reason if the print fmt can't be parsed. */
export function piecesOf(printFmt: string): Piece[] {
  const code = withoutLiterals(printFmt);
  const endOfFormat = endOfArgument(code, 0, code.length);
  const text = formatText(printFmt.slice(0, endOfFormat));
  const args: string[] = [];
  for (let from = endOfFormat + 1; from < code.length; ) {
    const to = endOfArgument(code, from, code.length);
    args.push(printFmt.slice(from, to).trim());
    from = to + 1;
  }
  return takeApart(text, args);
}

function takeApart(text: string, args: readonly string[]): Piece[] {
  const pieces: Piece[] = [];
  let literal = '';
  let next = 0;
  const argument = (): string => {
    const value = args[next++];
    if (value === undefined) throw new Error('it has more conversions than arguments');
    return value;
  };
  for (let at = 0; at < text.length; ) {
    if (text[at] !== '%') {
      literal += text[at++];
      continue;
    }
    SPEC.lastIndex = at;
    const match = SPEC.exec(text);
    if (match === null)
      throw new Error(`it has a conversion of an unknown kind at ${quoted(text.slice(at, at + 8))}`);
    at = SPEC.lastIndex;
    const [spec, flags, width, precision, type] = match;
    if (type === '%') {
      literal += '%';
      continue;
    }
    // The argument for a `*` comes before the value.
    if (width === '*') argument();
    if (precision === '*') argument();
    if (literal !== '') pieces.push({ kind: 'literal', text: literal });
    literal = '';
    pieces.push({
      kind: 'conversion',
      spec,
      looks: looksOf(type),
      width: width === undefined || width === '*' ? 0 : Number(width),
      leftAligned: flags.includes('-'),
      argument: argument(),
    });
  }
  if (literal !== '') pieces.push({ kind: 'literal', text: literal });
  return pieces;
}

function looksOf(type: string): Conversion['looks'] {
  if (type === 'd' || type === 'i' || type === 'u') return 'decimal';
  if (type === 'x' || type === 'X' || type === 'p' || type === 'px' || type === 'pK') return 'hex';
  if (type === 'o') return 'octal';
  if (type === 'c') return 'char';
  if (type === 's') return 'string';
  if (SYMBOL.test(type)) return 'symbol';
  return 'word';
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** Joins the string literals of a format. Throws if the format contains anything else. */
function formatText(source: string): string {
  if (source.replace(STRING, '').trim() !== '') throw new Error('its format is not only a string');
  return [...source.matchAll(STRING)].map(([literal]) => unescaped(literal.slice(1, -1))).join('');
}

function unescaped(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/gs, (_, code: string) => {
    if (/^x./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 255);
    return ESCAPES[code] ?? code;
  });
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
