/** Converts issues of the schema library to messages with place, key, problem and, if known, remedy. */
import type { z } from 'zod';
import { isMap } from './overlay.ts';
import { didYouMean } from './suggest.ts';
import { shownValue } from './units/quantity.ts';

type JsonSchema = z.core.JSONSchema.JSONSchema;
type Path = readonly PropertyKey[];

export interface ProblemContext {
  /** The config, including its invalid values. */
  value: unknown;
  /** JSON Schema of the config. The messages list its keys as valid keys. */
  jsonSchema: JsonSchema;
  /** Returns the line and column, variable or flag that set a key or its value; '' if unknown. */
  place(path: Path, part: 'key' | 'value'): string;
}

const BY_PLACE = new Intl.Collator('en', { numeric: true });

/** Returns one message per problem, sorted by place. */
export function describeProblems(issues: readonly z.core.$ZodIssue[], context: ProblemContext): string[] {
  const lines = issues.flatMap(withoutUnions).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey([...issue.path, key], context));
    }
    const where = [context.place(issue.path, 'value'), dotted(issue.path)].filter((part) => part !== '');
    return [`${where.join(': ')}: ${whatIsWrong(issue, valueAt(context.value, issue.path), issue.path)}`];
  });
  return lines.sort(BY_PLACE.compare);
}

/** Replaces the issue of a union with the issues of the last alternative, preferably one that accepts the type. */
function withoutUnions(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  const within = (inner: z.core.$ZodIssue) =>
    withoutUnions({ ...inner, path: [...issue.path, ...inner.path] });
  if (issue.code === 'invalid_key') {
    const key = JSON.stringify(issue.path.at(-1));
    return issue.issues.map((inner) => ({ ...inner, path: issue.path, message: `${key} ${inner.message}` }));
  }
  if (issue.code !== 'invalid_union' || !issue.message.startsWith('Invalid')) return [issue];
  const isOther = ({ code, path }: z.core.$ZodIssue) => code === 'invalid_type' && path.length === 0;
  const meant = issue.errors.findLast((inner) => !inner.some(isOther)) ?? issue.errors.at(-1);
  return meant === undefined ? [issue] : meant.flatMap(within);
}

function unknownKey(path: Path, context: ProblemContext): string {
  const key = String(path.at(-1));
  const parent = path.slice(0, -1);
  const keys = keysAt(context.jsonSchema, parent);
  const isProbe = parent.length === 1 && parent[0] === 'probes';
  const what = isProbe ? `unknown probe ${JSON.stringify(key)}` : 'unknown key';
  const choice = isProbe ? 'the probes are' : 'the keys here are';
  return `${context.place(path, 'key')}: ${dotted(path)}: ${what}${didYouMean(key, keys)}; ${choice} ${keys.join(', ')}`;
}

function whatIsWrong(issue: z.core.$ZodIssue, value: unknown, path: Path): string {
  if (value === undefined && issue.code === 'invalid_type')
    return `is missing: it must be ${EXPECTED[issue.expected] ?? issue.expected}`;
  // Default messages of the library begin with these words. Messages of our schemas are more specific.
  if (!/^(Invalid|Too|Unrecognized)\b/.test(issue.message)) {
    return /^(must|is|has)\b/.test(issue.message) ? `${shown(value)} ${issue.message}` : issue.message;
  }
  switch (issue.code) {
    case 'invalid_value': {
      const choices = issue.values.map(String);
      return `${shown(value)} is not one of ${choices.join(', ')}${didYouMean(String(value), choices)}`;
    }
    case 'invalid_type':
      return `${shown(value)} is not ${EXPECTED[issue.expected] ?? issue.expected}${typeHint(issue.expected, value, path)}`;
    case 'too_small':
      return `${measured(value, issue.origin)} too small: the minimum is ${issue.minimum}`;
    case 'too_big':
      return `${measured(value, issue.origin)} too large: the maximum is ${issue.maximum}`;
    default:
      return issue.message;
  }
}

/** Returns the beginning of a message about a limit: the value, or the length of an array or string. */
function measured(value: unknown, origin: string): string {
  const counted = origin === 'array' || origin === 'string';
  return counted ? `its length of ${(value as { length: number }).length} is` : `${shown(value)} is`;
}

const EXPECTED: Record<string, string> = {
  object: 'a map of keys',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  string: 'a string',
};

function typeHint(expected: string, value: unknown, path: Path): string {
  if (expected === 'object' && typeof value === 'boolean' && path.length === 2 && path[0] === 'probes') {
    return `: write ${String(path[1])}: { enabled: ${value} }`;
  }
  if (expected === 'array' && (typeof value === 'string' || typeof value === 'number')) {
    return `: write [${shown(value)}]`;
  }
  return '';
}

function keysAt(schema: JsonSchema, path: Path): string[] {
  let at: unknown[] = [schema];
  for (const segment of path) at = at.flatMap(alternatives).map((one) => inside(one, segment));
  const keys = at
    .flatMap(alternatives)
    .flatMap(({ properties }) => (isMap(properties) ? Object.keys(properties) : []));
  return [...new Set(keys)];
}

function alternatives(schema: unknown): Record<string, unknown>[] {
  if (!isMap(schema)) return [];
  return Array.isArray(schema.anyOf) ? schema.anyOf.flatMap(alternatives) : [schema];
}

function inside(schema: Record<string, unknown>, segment: PropertyKey): unknown {
  if (typeof segment === 'number') return schema.items;
  const { properties } = schema;
  return (isMap(properties) ? properties[String(segment)] : undefined) ?? schema.additionalProperties;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const segment of path) at = (at as Record<PropertyKey, unknown> | undefined)?.[segment];
  return at;
}

function shown(value: unknown): string {
  const text = shownValue(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Formats a path like `probes.sched.buckets[3]`. */
function dotted(path: Path): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`))
    .join('');
}
