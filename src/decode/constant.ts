/** Evaluates constant C integer expressions in print formats, such as `(1UL << 3)` or `(( gfp_t)0x40u) | 2`. */
const TOKEN = /\s*(0[xX][0-9a-fA-F]+|\d+|<<|>>|[-+*&^|~()]|[A-Za-z_]\w*)([uUlL]*)/y;
/** Lowest precedence first. */
const OPERATORS = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*']];
const MAX_DEPTH = 64;

/** Returns the value (exact up to 2^53), or undefined if the text is not a constant. Ignores types: `~0U` is -1. */
export function constantValue(text: string): number | undefined {
  const scanned = tokensOf(text);
  if (scanned === undefined) return undefined;
  const tokens: readonly string[] = scanned;
  let at = 0;
  let depth = 0;

  function binary(level: number): bigint | undefined {
    if (level === OPERATORS.length) return unary();
    let first = binary(level + 1);
    while (first !== undefined && OPERATORS[level].includes(tokens[at])) {
      const operator = tokens[at++];
      const right = binary(level + 1);
      first = right === undefined ? undefined : apply(operator, first, right);
    }
    return first;
  }

  function unary(): bigint | undefined {
    if (++depth > MAX_DEPTH) return undefined;
    try {
      const token = tokens[at++];
      if (token === '-' || token === '~' || token === '+') {
        const value = unary();
        if (value === undefined) return undefined;
        return token === '-' ? -value : token === '~' ? ~value : value;
      }
      if (token !== '(') return /^\d/.test(token ?? '') ? octalOr(token) : undefined;
      const castEnd = endOfCast(tokens, at);
      if (castEnd > 0) {
        at = castEnd;
        return unary();
      }
      const inner = binary(0);
      return tokens[at++] === ')' ? inner : undefined;
    } finally {
      depth--;
    }
  }

  const value = binary(0);
  return at === tokens.length && value !== undefined ? Number(value) : undefined;
}

function tokensOf(text: string): string[] | undefined {
  const trimmed = text.trim();
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let end = 0; end < trimmed.length; end = TOKEN.lastIndex) {
    TOKEN.lastIndex = end;
    const match = TOKEN.exec(trimmed);
    if (match === null) return undefined;
    tokens.push(match[1]);
  }
  return tokens;
}

/** Returns the index after the `)` of a cast if the `(` before `from` opens a cast; otherwise 0. */
function endOfCast(tokens: readonly string[], from: number): number {
  let i = from;
  while (i < tokens.length && /^[A-Za-z_]/.test(tokens[i])) i++;
  return i > from && tokens[i] === ')' && i + 1 < tokens.length ? i + 1 : 0;
}

/** Parses a number; a leading 0 means octal, as in C. Returns undefined for an invalid octal number. */
function octalOr(token: string): bigint | undefined {
  if (!/^0\d/.test(token)) return BigInt(token);
  return /^[0-7]+$/.test(token) ? BigInt(`0o${token.slice(1)}`) : undefined;
}

function apply(operator: string, first: bigint, second: bigint): bigint | undefined {
  switch (operator) {
    case '|':
      return first | second;
    case '^':
      return first ^ second;
    case '&':
      return first & second;
    case '+':
      return first + second;
    case '-':
      return first - second;
    case '*':
      return first * second;
    default:
      // C does not define shifts by 64 or more bits.
      if (second < 0n || second > 63n) return undefined;
      return operator === '<<' ? first << second : first >> second;
  }
}
