/**
 * Value of a constant C expression as print formats have them: `0x00000001`, `(1UL << 3)`, `(( gfp_t)0x40u) | 2`.
 * Numbers, parentheses, casts to a type name, and the operators ~ - + * << >> & ^ |, in C's precedence.
 */
const TOKEN = /\s*(0[xX][0-9a-fA-F]+|\d+|<<|>>|[-+*&^|~()]|[A-Za-z_]\w*)([uUlL]*)/y;
/** Loosest first. */
const OPERATORS = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*']];
const MAX_DEPTH = 64;

/** The value, or undefined where the text is no such constant. Exact to 2^53; negative where C says so. */
export function constantValue(text: string): number | undefined {
  const found = tokensOf(text);
  if (found === undefined) return undefined;
  const tokens: readonly string[] = found;
  let at = 0;
  let depth = 0;

  function binary(level: number): bigint | undefined {
    if (level === OPERATORS.length) return unary();
    let left = binary(level + 1);
    while (left !== undefined && OPERATORS[level].includes(tokens[at])) {
      const operator = tokens[at++];
      const right = binary(level + 1);
      left = right === undefined ? undefined : apply(operator, left, right);
    }
    return left;
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

/** Place behind `type )` when the parenthesis just opened holds nothing but names; else 0. */
function endOfCast(tokens: readonly string[], from: number): number {
  let i = from;
  while (i < tokens.length && /^[A-Za-z_]/.test(tokens[i])) i++;
  return i > from && tokens[i] === ')' && i + 1 < tokens.length ? i + 1 : 0;
}

/** A number as C reads it: a leading 0 means octal. */
function octalOr(token: string): bigint | undefined {
  if (!/^0\d/.test(token)) return BigInt(token);
  return /^[0-7]+$/.test(token) ? BigInt(`0o${token.slice(1)}`) : undefined;
}

function apply(operator: string, left: bigint, right: bigint): bigint | undefined {
  switch (operator) {
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '&':
      return left & right;
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    default:
      // A shift by what no C type has room for is no constant.
      if (right < 0n || right > 63n) return undefined;
      return operator === '<<' ? left << right : left >> right;
  }
}
