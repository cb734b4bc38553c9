/** Schemas of config values. Defaults of quantities are texts (`.prefault()`), so that the JSON Schema shows texts. */

import { z } from 'zod';
import { reasonOf } from '../model/errors.ts';
import type { DurationNs } from '../model/time.ts';
import {
  CPU_LIST_PATTERN,
  DURATION_PATTERN,
  formatDuration,
  formatPercent,
  formatSize,
  PERCENT_PATTERN,
  parseCpuList,
  parseDuration,
  parsePercent,
  parseSize,
  SIZE_PATTERN,
  shownValue,
} from './units/quantity.ts';

/** Range of a quantity, including both ends. */
export interface Bounds {
  min?: number;
  max?: number;
}

/** Schema of a duration such as `10ms`, converted to nanoseconds. `bounds` are in nanoseconds. */
export function duration(bounds: Bounds = {}): z.ZodType<DurationNs, string> {
  return written('a duration, as in 10ms', DURATION_PATTERN).transform((text, context) =>
    within(parsed(parseDuration, text, context), bounds, formatDuration, context),
  );
}

/** Schema of a size such as `64MiB`, or a number of bytes, converted to bytes. `bounds` are in bytes. */
export function size(bounds: Bounds = {}): z.ZodType<number, string | number> {
  const want = 'a size, as in 64MiB';
  return z
    .union([written(want, SIZE_PATTERN), z.int().min(0)], { error: expected(want) })
    .transform((text, context) =>
      within(parsed(parseSize, String(text), context), bounds, formatSize, context),
    );
}

/** Schema of a percentage such as `5%`, converted to a share: 0.05. `bounds` are shares. */
export function percent(bounds: Bounds = {}): z.ZodType<number, string> {
  return written('a percentage, as in 5%', PERCENT_PATTERN).transform((text, context) =>
    within(parsed(parsePercent, text, context), bounds, formatPercent, context),
  );
}

/** Schema of a whole number. Accepts digits as text, because flags and environment variables are text. */
export function count(min: number, max: number) {
  const want = `must be a whole number from ${min} to ${max}`;
  const number = z.int({ error: want }).min(min, want).max(max, want);
  const digits = z.string().regex(/^\d{1,9}$/, want);
  return z.union([number, digits.transform(Number).pipe(number)], { error: want });
}

/** Schema of a CPU list such as `0-3,8`, or of one number, converted to ascending CPU numbers. */
export function cpuList(): z.ZodType<number[], string | number> {
  const want = 'a list of CPUs, as in 0-3,8';
  return z
    .union([written(want, CPU_LIST_PATTERN), z.int().min(0)], { error: expected(want) })
    .transform((text, context) => parsed(parseCpuList, String(text), context));
}

/** Schema of a boolean. Accepts `true` and `false` as text, because flags and environment variables are text. */
export function yesOrNo() {
  const text = z.enum(['true', 'false']).transform((word) => word === 'true');
  return z.union([z.boolean(), text], { error: 'must be true or false' });
}

/** Schema of a list of globs. `kind` determines the allowed characters. */
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

/** Schema of ascending bucket bounds, converted to seconds. A bound is a duration such as `10ms`, or a number. */
export function buckets(): z.ZodType<number[], (string | number)[]> {
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
    .min(1, 'is empty: give at least one bound, or remove the key')
    .max(MAX_BUCKETS, `has more than ${MAX_BUCKETS} bounds`)
    .superRefine((bounds, context) => {
      const at = bounds.findIndex(
        (b, i) => i > 0 && Math.floor(b * 1e9 + 0.5) <= Math.floor(bounds[i - 1] * 1e9 + 0.5),
      );
      if (at < 0) return;
      const message = `bounds must ascend by at least 1ns, but ${bounds[at]} s follows ${bounds[at - 1]} s`;
      context.addIssue({ code: 'custom', message, path: [at], input: bounds[at] });
    });
}

/** Parses a decimal text (`100000e-9` for 100us), because a division would not always be exact. */
function parseSeconds(text: string): number {
  return Number(`${parseDuration(text)}e-9`);
}

export interface ProbeDefaults {
  enabled: boolean;
  per_cpu: boolean;
  max_series: number;
  /** Bucket bounds of classic histograms, in seconds. */
  buckets: readonly number[];
}

/** Schema of a probe's section: the common keys and `extra`, all with defaults. Unknown keys are errors. */
export function probeSchema<Extra extends z.ZodRawShape>(defaults: ProbeDefaults, extra: Extra) {
  return z.strictObject({
    enabled: z.boolean().default(defaults.enabled),
    per_cpu: z.boolean().default(defaults.per_cpu),
    max_series: seriesLimit().default(defaults.max_series),
    buckets: buckets().prefault([...defaults.buckets]),
    essential: z.boolean().default(false),
    ...extra,
  });
}

/** Schema of `max_series`, without a default. */
export function seriesLimit() {
  return z.int().min(1).max(100_000);
}

/** Default of `max_series` with `per_container`. 500 histogram series would have more than 10,000 samples. */
const CONTAINER_SERIES = 200;

/** Returns the default of `max_series`. `usual`: the default without `per_container`. */
export function defaultSeries(perContainer: boolean, usual: number): number {
  return perContainer ? CONTAINER_SERIES : usual;
}

/** Schema of the section of a probe about tasks. Adds the key `per_container`, which splits the series by container. */
export function taskProbeSchema<Extra extends z.ZodRawShape>(defaults: ProbeDefaults, extra: Extra) {
  const shape = {
    per_container: z.boolean().default(false),
    ...extra,
    // `fill` sets the default, because it depends on `per_container`.
    max_series: seriesLimit().optional() as unknown as z.ZodDefault<z.ZodInt>,
  };
  const fill = ({ value }: z.core.ParsePayload<object>): void => {
    const options = value as { max_series?: number; per_container: boolean };
    options.max_series ??= defaultSeries(options.per_container, defaults.max_series);
  };
  return probeSchema(defaults, shape).check(fill, refuseBothSplits);
}

/** Rejects `per_cpu` together with `per_container`, because there would be too many series. */
export function refuseBothSplits({ value, issues }: z.core.ParsePayload<object>): void {
  if (!('per_cpu' in value && value.per_cpu && 'per_container' in value && value.per_container)) return;
  const message = 'per_cpu and per_container cannot be used together: remove one of them';
  issues.push({ code: 'custom', path: ['per_container'], message, input: true });
}

/** The kind of names that a glob matches. `*` matches any characters, `?` one. Globs are case-sensitive. */
export type GlobKind = 'name' | 'function' | 'event';

const GLOB_KINDS: Record<GlobKind, { pattern: RegExp; want: string }> = {
  name: {
    pattern: /^[A-Za-z0-9_.:!/*?-]{1,128}$/,
    want: 'letters, digits, _ . : ! / - and the wildcards * and ?',
  },
  // `:`, `!`, `[` and a leading digit have special meanings in tracefs' function filters.
  function: {
    pattern: /^[A-Za-z_.$*?][A-Za-z0-9_.$*?]{0,127}$/,
    want: 'letters, digits (not first), _ . $ and the wildcards * and ?; commands such as func:traceoff are not allowed',
  },
  event: {
    pattern: /^[A-Za-z0-9_.*?-]{1,64}:[A-Za-z0-9_.*?-]{1,64}$/,
    want: 'system:event, as in sched:sched_process_exec, with the wildcards * and ?',
  },
};

/** Describes the problem with a glob. Returns undefined if the glob is valid. */
function globProblem(kind: GlobKind, glob: string): string | undefined {
  return GLOB_KINDS[kind].pattern.test(glob)
    ? undefined
    : `${JSON.stringify(glob.slice(0, 60))} is not a pattern for a ${kind}: use ${GLOB_KINDS[kind].want}`;
}

/** Schema of a text. `pattern` only appears in the JSON Schema; the caller checks the text. */
function written(want: string, pattern: RegExp): z.ZodString {
  return z.string({ error: expected(want) }).meta({ pattern: pattern.source });
}

/** Returns a function that makes an error message from the expected form and the actual value. */
function expected(want: string): (issue: { input?: unknown }) => string {
  return ({ input }) => `${shownValue(input)} is not ${want}`;
}

/** Returns the parsed text. If the parser throws, adds an issue with the parser's message. */
function parsed<T>(parse: (text: string) => T, text: string, context: z.RefinementCtx): T {
  try {
    return parse(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: reasonOf(error), input: text });
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

/** Probes get these functions as an argument, because the capture thread must not load the schema library. */
export const schemaKit = { z, probeSchema, taskProbeSchema, duration, size, cpuList, globs };
export type SchemaKit = typeof schemaKit;
