/**
 * Parses event filters in the kernel's syntax: `reason > 2 && (name ~ "eth*" || !(flags & 0x4))`. Does not support
 * `.ustring`, `.function` and `CPUS{}`. Source: kernel/trace/trace_events_filter.c.
 */

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | '&' | '~';

export type EventFilter =
  | { op: 'and' | 'or'; parts: readonly EventFilter[] }
  | { op: 'not'; part: EventFilter }
  | { op: Comparison; field: string; value: number | string };

const TOKEN =
  /\s*(?:(&&|\|\||==|!=|<=|>=|[<>&~!()])|("[^"\\]*"|'[^'\\]*')|([A-Za-z_]\w*)|(-?0[xX][0-9a-fA-F]+|-?\d+)|(\S))/y;
const MAX_DEPTH = 32;
const COMPARISONS: readonly string[] = ['==', '!=', '<', '<=', '>', '>=', '&', '~'];

/** Throws an `Error` with the reason if the filter is invalid or not supported. */
export function parseEventFilter(text: string): EventFilter {
  const tokens = tokensOf(text);
  let at = 0;
  let depth = 0;

  function chain(op: 'and' | 'or', sign: string, next: () => EventFilter): EventFilter {
    const parts = [next()];
    while (tokens[at] === sign) {
      at++;
      parts.push(next());
    }
    return parts.length === 1 ? parts[0] : { op, parts };
  }
  const either = (): EventFilter => chain('or', '||', both);
  const both = (): EventFilter => chain('and', '&&', single);

  function single(): EventFilter {
    if (++depth > MAX_DEPTH) throw new Error('is nested too deep');
    const token = tokens[at++];
    let filter: EventFilter;
    if (token === '!') filter = { op: 'not', part: single() };
    else if (token === '(') {
      filter = either();
      if (tokens[at++] !== ')') throw new Error('lacks a closing parenthesis');
    } else filter = comparison(token);
    depth--;
    return filter;
  }

  function comparison(field: string | undefined): EventFilter {
    if (field === undefined || !/^[A-Za-z_]/.test(field))
      throw new Error(`has ${shown(field)} where it needs a field, as in "reason > 2"`);
    const op = tokens[at++];
    if (!isComparison(op))
      throw new Error(
        `has ${shown(op)} after ${field}: use one of ${COMPARISONS.join(' ')}, as in "${field} > 2"`,
      );
    return { op, field, value: comparedValue(op, tokens[at++]) };
  }

  const filter = either();
  if (at < tokens.length) throw new Error(`has ${shown(tokens[at])} where it needs && or ||`);
  return filter;
}

/** Names of the fields that a filter compares. */
export function filteredFields(filter: EventFilter): string[] {
  if ('parts' in filter) return [...new Set(filter.parts.flatMap(filteredFields))];
  return 'part' in filter ? filteredFields(filter.part) : [filter.field];
}

function isComparison(token: string | undefined): token is Comparison {
  return token !== undefined && COMPARISONS.includes(token);
}

function comparedValue(op: Comparison, token: string | undefined): number | string {
  if (token !== undefined && /^["']/.test(token)) {
    const text = token.slice(1, -1);
    if (op !== '==' && op !== '!=' && op !== '~')
      throw new Error(`compares the string ${token} with ${op}: use ==, != or ~ for strings`);
    if (/[[\]]/.test(text)) throw new Error(`has [ or ] in ${token}: use only the wildcards * and ?`);
    return text;
  }
  if (token === undefined || !/^-?\d/.test(token))
    throw new Error(`has ${shown(token)} after ${op}: use a number, or a string in quotes`);
  if (op === '~') throw new Error(`compares the number ${token} with ~: use ~ only for strings in quotes`);
  if (/^-?0\d/.test(token))
    throw new Error(`has ${token}, which the kernel reads as octal: write it as a decimal or as 0x…`);
  const negative = token.startsWith('-');
  const value = Number(negative ? token.slice(1) : token);
  if (!Number.isSafeInteger(value)) throw new Error(`has ${token}, which is above 2^53`);
  return negative ? -value : value;
}

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  const trimmed = text.trim();
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < trimmed.length; ) {
    const match = TOKEN.exec(trimmed);
    if (match?.[5] !== undefined || match === null)
      throw new Error(`has ${shown(match?.[5])}, which is not allowed in a filter`);
    tokens.push(match[0].trim());
  }
  return tokens;
}

function shown(token: string | undefined): string {
  return token === undefined ? 'nothing' : JSON.stringify(token);
}
