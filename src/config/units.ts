/**
 * Units of the config as schemas: text of the YAML in, numbers in base units out; globs over names of the kernel;
 * and the keys that every probe takes. Probes make their sections of the config from these.
 * Schemas say in their JSON Schema what is written, not what comes out. A missing key's value is given with
 * `.prefault()`, as it would be written.
 */
import { z } from 'zod';
import type { DurationNs } from '../model/time.ts';
import {
  CPU_LIST_PATTERN,
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseCpuList,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
  shownValue,
} from './units/quantity.ts';

/** Within what a quantity must lie, both ends included. */
export interface Bounds {
  min?: number;
  max?: number;
}

/** A duration, `10ms` → nanoseconds. Bounds in nanoseconds. */
export function duration(bounds: Bounds = {}): z.ZodType<DurationNs, string> {
  return written('a duration, as in 10ms', DURATION_PATTERN).transform((text, context) =>
    within(parsed(parseDuration, text, context), bounds, formatDuration, context),
  );
}

/** A size, `64MiB` → bytes; a bare number is bytes. Bounds in bytes. */
export function size(bounds: Bounds = {}): z.ZodType<number, string | number> {
  const want = 'a size, as in 64MiB';
  return z
    .union([written(want, SIZE_PATTERN), z.int().min(0)], { error: expected(want) })
    .transform((text, context) =>
      within(parsed(parseSize, String(text), context), bounds, formatSize, context),
    );
}

/** A whole number; flags and variables give it as text. */
export function count(min: number, max: number) {
  const want = `must be a whole number from ${min} to ${max}`;
  const number = z.int({ error: want }).min(min, want).max(max, want);
  const digits = z.string().regex(/^\d{1,9}$/, want);
  return z.union([number, digits.transform(Number).pipe(number)], { error: want });
}

/** CPUs as the kernel lists them, `0-3,8` → numbers, ascending; one alone may be written as a number. */
export function cpuList(): z.ZodType<number[], string | number> {
  const want = 'a list of CPUs, as in 0-3,8';
  return z
    .union([written(want, CPU_LIST_PATTERN), z.int().min(0)], { error: expected(want) })
    .transform((text, context) => parsed(parseCpuList, String(text), context));
}

/** Flags and variables give it as text. */
export function yesOrNo() {
  const text = z.enum(['true', 'false']).transform((said) => said === 'true');
  return z.union([z.boolean(), text], { error: 'must be true or false' });
}

/** A list of globs of a kind; refuses characters that mean more to tracefs than a name, `:` commands among them. */
export function globs(kind: GlobKind): z.ZodType<string[], string[]> {
  const pattern = written(`a pattern for a ${kind}`, GLOB_KINDS[kind].pattern);
  const checked = pattern.superRefine((glob, context) => {
    const problem = globProblem(kind, glob);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem, input: glob });
  });
  return z.array(checked, { error: expected('a list of patterns, as in ["vfs_*"]') }).max(1000);
}

const MAX_BUCKETS = 200;
const LONGEST_BUCKET_SECONDS = 86_400;

/** Bounds of buckets: durations, or seconds as numbers, positive and ascending → seconds. */
function buckets(): z.ZodType<number[], (string | number)[]> {
  const want = 'a bound: a duration, as in 10ms, or a number of seconds';
  const bound = z
    .union([written(want, DURATION_PATTERN), z.number()], { error: expected(want) })
    .transform((value, context) => {
      const seconds = typeof value === 'number' ? value : parsed(parseSeconds, value, context);
      if (typeof seconds === 'number' && !(seconds >= 1e-9 && seconds <= LONGEST_BUCKET_SECONDS)) {
        context.addIssue({ code: 'custom', message: `${value} is not between 1ns and 24h`, input: value });
      }
      return seconds;
    });
  return z
    .array(bound, { error: expected('a list of bounds, as in [10us, 100us, 1ms]') })
    .min(1, 'is empty: give one bound at least, or leave the key out')
    .max(MAX_BUCKETS, `has more than ${MAX_BUCKETS} bounds`)
    .superRefine((bounds, context) => {
      const at = bounds.findIndex(
        (b, i) => i > 0 && Math.floor(b * 1e9 + 0.5) <= Math.floor(bounds[i - 1] * 1e9 + 0.5),
      );
      if (at < 0) return;
      const message = `bounds must ascend by 1ns at least, but ${bounds[at]} s follows ${bounds[at - 1]} s`;
      context.addIssue({ code: 'custom', message, path: [at], input: bounds[at] });
    });
}

/** Through the decimal text, so that 100us is 0.0001 and not a neighbour of it. */
function parseSeconds(text: string): number {
  return Number(`${parseDuration(text)}e-9`);
}

export interface ProbeDefaults {
  enabled: boolean;
  per_cpu: boolean;
  max_series: number;
  /** Seconds. */
  buckets: readonly number[];
}

/**
 * Schema of a probe's section: the keys all probes take, with this probe's defaults, and its own (`extra`), which
 * must have defaults too. Unknown keys are errors; `{}` gives the defaults.
 */
export function probeSchema<Extra extends z.ZodRawShape>(defaults: ProbeDefaults, extra: Extra) {
  return z.strictObject({
    enabled: z.boolean().default(defaults.enabled),
    per_cpu: z.boolean().default(defaults.per_cpu),
    max_series: z.int().min(1).max(100_000).default(defaults.max_series),
    buckets: buckets().prefault([...defaults.buckets]),
    ...extra,
  });
}

/**
 * What a glob is over decides the characters it may have. `*` is any run of characters, `?` is one, everything else
 * is itself; case counts.
 */
export type GlobKind = 'name' | 'function' | 'event';

const GLOB_KINDS: Record<GlobKind, { pattern: RegExp; want: string }> = {
  name: {
    pattern: /^[A-Za-z0-9_.:!/*?-]{1,128}$/,
    want: 'letters, digits, _ . : ! / - and the wildcards * and ?',
  },
  // In the function filters of tracefs `:` starts a command (func:traceoff), `!` removes, `[` is a class, and a digit
  // a number in the list of functions.
  function: {
    pattern: /^[A-Za-z_.$*?][A-Za-z0-9_.$*?]{0,127}$/,
    want: 'letters, digits (not first), _ . $ and the wildcards * and ?; commands as func:traceoff are refused',
  },
  event: {
    pattern: /^[A-Za-z0-9_.*?-]{1,64}:[A-Za-z0-9_.*?-]{1,64}$/,
    want: 'system:event, as in sched:sched_process_exec, with the wildcards * and ?',
  },
};

/** What is wrong with a glob; undefined when nothing is. */
function globProblem(kind: GlobKind, glob: string): string | undefined {
  return GLOB_KINDS[kind].pattern.test(glob)
    ? undefined
    : `${JSON.stringify(glob.slice(0, 60))} is not a pattern for a ${kind}: it takes ${GLOB_KINDS[kind].want}`;
}

/** Text of a known form. The form is for the JSON Schema; what parses the text says what is wrong with it. */
function written(want: string, pattern: RegExp): z.ZodString {
  return z.string({ error: expected(want) }).meta({ pattern: pattern.source });
}

/** Says what was expected and what is there. */
function expected(want: string): (issue: { input?: unknown }) => string {
  return ({ input }) => `${shownValue(input)} is not ${want}`;
}

/** What `parse` makes of a text, or an issue with its message. */
function parsed<T>(parse: (text: string) => T, text: string, context: z.RefinementCtx): T {
  try {
    return parse(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message, input: text });
    return z.NEVER;
  }
}

function within(
  value: number,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds,
  format: (value: number) => string,
  context: z.RefinementCtx,
): number {
  if (value < min || value > max) {
    const message = `${format(value)} is out of bounds: it must be between ${format(min)} and ${format(max)}`;
    context.addIssue({ code: 'custom', message, input: value });
  }
  return value;
}

/**
 * What a probe makes the schema of its section from. It is handed to the probe rather than imported by it: only the
 * main thread reads a config, and the capture thread does without the schema library.
 */
export const schemaKit = { z, probeSchema, duration, size, cpuList, globs };
export type SchemaKit = typeof schemaKit;
