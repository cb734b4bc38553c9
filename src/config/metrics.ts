/** The schema of `metrics:`, the metrics that a config declares. It does not look at the kernel. */
import { z } from 'zod';
import {
  CPU,
  type DeclaredLabel,
  type DeclaredMetric,
  type EventChoice,
  type KeyPart,
  LABEL_FORMS,
  type Measure,
  NESTINGS,
  TASK,
  taskFieldOf,
  UNITS,
} from '../model/declared-metric.ts';
import { DYNAMIC_KINDS, dynamicGroup, dynamicName } from '../model/dynamic-event.ts';
import { reasonOf } from '../model/errors.ts';
import { parseEventFilter } from '../model/event-filter.ts';
import { COUNT_IN, MOST_KERNEL_KEYS } from '../model/kernel-count.ts';
import { DEFAULT_BUCKETS, powersOfFour } from './units/buckets.ts';
import { buckets, defaultSeries, refuseBothSplits, seriesLimit } from './units.ts';

/** A metric that the config declares, with the options that all probes have. */
export interface ConfiguredMetric {
  /** Name without the prefix `ftrace_`. */
  name: string;
  options: {
    enabled: boolean;
    essential: boolean;
    per_cpu: boolean;
    per_container: boolean;
    max_series: number;
    buckets: readonly number[];
    metric: DeclaredMetric;
  };
}

const EVENT = /^(?!\.+:)[A-Za-z0-9_.-]{1,64}:(?!\.+$)[A-Za-z0-9_.-]{1,64}$/;
const FIELD = /^[A-Za-z_]\w{0,63}$/;
const SIDED = /^(?:(start|end)\.)?([A-Za-z_]\w{0,63})$/;
const LABEL = /^(?!__)(?!le$|cpu$)[a-zA-Z_]\w{0,63}$/;
const METRIC = /^(?!ftrace_|exporter_)[a-z][a-z0-9_]{1,79}$/;
const MOST_LABELS = 6;
const MOST_METRICS = 200;
const MOST_KEYS = 4;
const TIMES: readonly string[] = ['ns', 'us', 'ms', 's', 'jiffies'];

const text = (pattern: RegExp, want: string) => z.string().regex(pattern, `must be ${want}`);
const eventName = text(EVENT, 'an event: system:name, as in vmscan:mm_vmscan_direct_reclaim_begin');
const field = text(FIELD, 'a field of the event, as in common_pid');

const where = z
  .string()
  .max(1000)
  .superRefine((filter, context) => {
    try {
      parseEventFilter(filter);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `is not a filter: it ${reasonOf(error)}` });
    }
  });

const NAME_OF_FUNCTION = '[A-Za-z_.$][\\w.$]*';
const KERNEL_PLACE = new RegExp(`^(?:[a-zA-Z_]\\w*:)?${NAME_OF_FUNCTION}(?:\\+\\d{1,6})?$`);
const PROGRAM_PLACE = new RegExp(
  `^/[\\w./+@%,=~-]{1,400}:(?:0x[0-9a-f]{1,16}|${NAME_OF_FUNCTION}(?:\\+\\d{1,6})?)$`,
);
/** A fetch argument in the kernel's syntax (Documentation/trace/kprobetrace.rst), without white space. */
const EXPRESSION = /^[%$@+\\-][\w%$@+\-():,.[\]]{1,100}$/;
const kernelPlace = text(KERNEL_PLACE, 'a function of the kernel, as in tcp_v4_connect or vfs_read+4');
const programPlace = text(
  PROGRAM_PLACE,
  'PATH:FUNCTION or PATH:0xOFFSET, with the whole path, as in /usr/lib/x86_64-linux-gnu/libc.so.6:malloc',
);
const args = z.record(
  text(FIELD, 'a name of letters, digits and _'),
  text(EXPRESSION, 'what to read, as in %di:u64, $arg1:u64, $retval:s32 or +0($arg1):string'),
);

const placed = z
  .strictObject({
    event: eventName.optional(),
    kprobe: kernelPlace.optional(),
    kretprobe: kernelPlace.optional(),
    uprobe: programPlace.optional(),
    uretprobe: programPlace.optional(),
    args: args.optional(),
    where: where.optional(),
  })
  .superRefine((one, context) => {
    const named = (['event', ...DYNAMIC_KINDS] as const).filter((key) => one[key] !== undefined);
    const complain = (message: string, path: PropertyKey[] = []) =>
      context.addIssue({ code: 'custom', message, path, input: one });
    if (named.length !== 1)
      complain(
        `has ${named.join(' and ') || 'no event'}: write exactly one of event, ${DYNAMIC_KINDS.join(', ')}`,
      );
    if (one.event !== undefined && one.args !== undefined)
      complain('args is only for kprobes and uprobes: other events already have fields', ['args']);
  });
const choice = z.union([eventName, placed]);
const measure = z.union([field, z.strictObject({ field, unit: z.enum(UNITS).default('none') })]);
const mask = z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional();
const keyPart = z.union([
  field,
  z.strictObject({ field, mask }),
  z.strictObject({ start: field, end: field, mask }),
]);
const key = z.union([z.array(keyPart).min(1).max(MOST_KEYS), keyPart]);
const sided = text(SIDED, 'a field, as in reason, start.order or end.ret');
const label = z.union([
  sided,
  z.strictObject({
    field: sided.default('cpu'),
    as: z.enum(LABEL_FORMS).optional(),
    map: z.record(text(/^-?\d{1,16}$/, 'a whole number'), z.string().max(100)).optional(),
    default: z.string().max(100).optional(),
  }),
]);

const written = z.strictObject({
  name: text(
    METRIC,
    'a name of lower-case letters, digits and _, without ftrace_ before it, as in reclaim_seconds',
  ),
  help: z.string().min(1).max(300),
  enabled: z.boolean().default(true),
  essential: z.boolean().default(false),
  event: choice.optional(),
  start: choice.optional(),
  end: choice.optional(),
  where: where.optional(),
  key: key.optional(),
  nested: z.enum(NESTINGS).optional(),
  ends_alone: z.boolean().optional(),
  value: measure.optional(),
  sum: measure.optional(),
  max: measure.optional(),
  labels: z
    .record(text(LABEL, 'a label: letters, digits and _, but neither le nor cpu (use per_cpu)'), label)
    .default({}),
  buckets: z.array(z.union([z.string(), z.number()])).optional(),
  max_series: seriesLimit().optional(),
  per_cpu: z.boolean().default(false),
  per_container: z.boolean().default(false),
  count_in: z.enum(COUNT_IN).default('agent'),
});
type Written = z.output<typeof written>;
type Complain = (path: PropertyKey[], message: string) => void;

/** Schema of the list of declared metrics. They must not have the names of built-in metrics (`families`). */
export function metricsSchema(families: readonly string[]) {
  const metric = written.check(refuseBothSplits).transform((one, context) => {
    let isGood = true;
    const complain: Complain = (path, message) => {
      isGood = false;
      context.addIssue({ code: 'custom', path, message, input: one });
    };
    checkEvents(one, complain);
    checkName(one, families, complain);
    checkLabels(one, complain);
    if (one.count_in === 'kernel') checkInKernel(one, complain);
    const buckets = bucketsOf(one, complain);
    if (!isGood) return z.NEVER;
    const made = configured(one, buckets);
    if (!one.per_container || taskFieldOf(made.options.metric) !== undefined) return made;
    complain(
      ['per_container'],
      `per_container is only for metrics of tasks: those with event, or with start, end and the key ${TASK}`,
    );
    return z.NEVER;
  });
  return z
    .array(metric)
    .max(MOST_METRICS)
    .superRefine((all, context) => {
      const seen = new Set<string>();
      for (const [i, one] of all.entries()) {
        if (seen.has(one?.name))
          context.addIssue({ code: 'custom', path: [i, 'name'], message: `${one.name} is declared twice` });
        seen.add(one?.name);
      }
    });
}

function checkEvents(one: Written, complain: Complain): void {
  const { event, start, end } = one;
  if (event !== undefined) {
    for (const other of ['start', 'end', 'key', 'nested', 'ends_alone'] as const)
      if (one[other] !== undefined)
        complain([other], `${other} is only for a metric with start and end, but this one has event`);
    const amounts = (['value', 'sum', 'max'] as const).filter((name) => one[name] !== undefined);
    if (amounts.length > 1)
      complain([amounts[1]], `a metric has one of value, sum and max, not ${amounts.join(' and ')}`);
    if (one.where !== undefined && typeof event !== 'string' && event.where !== undefined)
      complain(['where'], 'where occurs twice: remove the one in event');
    return;
  }
  if (start === undefined && end === undefined)
    complain([], 'the event is missing: write event, or start and end');
  else if (start === undefined) complain(['end'], 'there is an end, but no start: add start');
  else if (end === undefined) complain(['start'], 'there is a start, but no end: add end');
  for (const other of ['value', 'sum', 'max'] as const)
    if (one[other] !== undefined)
      complain(
        [other],
        `${other} is only for a metric with event; a metric with start and end measures the time between them`,
      );
  if (one.where !== undefined)
    complain(['where'], 'where is only for a metric with event; write start: { event: …, where: … }');
}

/** Rejects the name of a built-in metric, and a name whose suffix does not match the metric's kind and unit. */
function checkName(one: Written, families: readonly string[], complain: Complain): void {
  const { name } = one;
  const kind = kindOf(one);
  const unit = unitOf(one);
  const shown = TIMES.includes(unit) ? '_seconds' : unit === 'bytes' || unit === 'pages' ? `_${unit}` : '';
  const ending = kind === 'count' || kind === 'sum' ? `${shown}_total` : shown;
  const stem = name.replace(/(_(seconds|bytes|pages|total|sum|count|bucket))+$/, '');
  const what = { count: 'a counter', sum: 'a counter', max: 'a gauge', histogram: 'a histogram' }[kind];
  if (!name.endsWith(ending) || (ending === '' && stem !== name && /_(total|sum|count|bucket)$/.test(name)))
    complain(
      ['name'],
      `${JSON.stringify(name)} is ${what}${shown === '' ? '' : ` in ${shown.slice(1)}`}: call it ${stem}${ending}`,
    );
  if (families.includes(`ftrace_${name}`))
    complain(['name'], `ftrace_${name} is already a metric of ftrace-exporter: choose another name`);
}

function kindOf(one: Written): DeclaredMetric['kind'] {
  if (one.start !== undefined) return one.name.endsWith('_total') ? 'sum' : 'histogram';
  if (one.value !== undefined) return 'histogram';
  return one.max !== undefined ? 'max' : one.sum !== undefined ? 'sum' : 'count';
}

function unitOf(one: Written): string {
  if (one.start !== undefined) return 'ns';
  const amount = one.value ?? one.sum ?? one.max;
  return typeof amount === 'object' ? amount.unit : 'none';
}

function checkLabels(one: Written, complain: Complain): void {
  const names = Object.keys(one.labels);
  if (names.length > MOST_LABELS)
    complain(['labels'], `there are ${names.length} labels: the maximum is ${MOST_LABELS}`);
  for (const name of names) {
    const label = typeof one.labels[name] === 'string' ? { field: one.labels[name] } : one.labels[name];
    const path = ['labels', name];
    const side = SIDED.exec(label.field)?.[1];
    if (one.start !== undefined && side === undefined && label.field !== CPU)
      complain(
        path,
        `${label.field} can be a field of the start or of the end: write start.${label.field} or end.${label.field}`,
      );
    if (one.start === undefined && side !== undefined)
      complain(
        path,
        `${label.field}: a metric with event has no ${side}: write ${label.field.slice(side.length + 1)}`,
      );
    if (!('as' in label || 'map' in label || 'default' in label)) continue;
    if (label.map !== undefined && label.as !== undefined && label.as !== 'map')
      complain([...path, 'map'], `map is only for as: map, but this label has as: ${label.as}`);
    if (label.as === 'map' && label.map === undefined)
      complain(path, 'as: map requires a map, such as map: { 0: ok }');
    if (label.default !== undefined && label.map === undefined)
      complain([...path, 'default'], 'default is only for as: map');
  }
}

/** Rejects a metric that the kernel cannot count: it counts all events of one type, by at most three numeric fields. */
function checkInKernel(one: Written, complain: Complain): void {
  const other = (['start', 'value', 'sum', 'max', 'where'] as const).find((name) => one[name] !== undefined);
  const isFiltered = typeof one.event === 'object' && one.event.where !== undefined;
  if (other !== undefined || isFiltered)
    complain(
      ['count_in'],
      `count_in: kernel is only for counters of all events, but this metric has ${other ?? 'where'}: remove count_in`,
    );
  for (const [name, label] of Object.entries(one.labels))
    if (typeof label === 'object' && (label.as === 'text' || label.as === 'container'))
      complain(
        ['labels', name],
        `as: ${label.as} is not possible with count_in: kernel, because the kernel counts only by numbers: remove one of the two`,
      );
  if (one.per_container)
    complain(
      ['per_container'],
      'per_container is not possible with count_in: kernel, because the kernel counts only by numbers: remove one of the two',
    );
  const keys = Object.keys(one.labels).length + Number(one.per_cpu);
  if (keys > MOST_KERNEL_KEYS)
    complain(
      ['count_in'],
      `with count_in: kernel, a metric can have at most ${MOST_KERNEL_KEYS} labels, but this one has ${keys}${one.per_cpu ? ' (with the label cpu of per_cpu)' : ''}`,
    );
}

function bucketsOf(one: Written, complain: Complain): readonly number[] {
  const isTime = TIMES.includes(unitOf(one));
  if (one.buckets === undefined)
    return isTime ? DEFAULT_BUCKETS : powersOfFour(unitOf(one) === 'bytes' ? 15 : 11);
  if (kindOf(one) !== 'histogram')
    complain(['buckets'], 'buckets is only for histograms: metrics with value, or with start and end');
  const checked = (isTime ? buckets() : numbers).safeParse(one.buckets);
  for (const { path, message } of checked.error?.issues ?? []) complain(['buckets', ...path], message);
  return checked.data ?? [];
}

const numbers = z
  .array(
    z
      .number('must be a number, because the unit is not a time')
      .min(1, 'must be 1 or more')
      .max(2 ** 53, 'must be at most 2^53'),
  )
  .min(1, 'is empty: give at least one bound, or remove the key')
  .max(200, 'has more than 200 bounds')
  .refine(
    (bounds) => bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]),
    'must be in ascending order',
  );

function configured(one: Written, buckets: readonly number[]): ConfiguredMetric {
  const { name, help, enabled, essential, per_cpu, per_container, start, end, event } = one;
  const max_series = one.max_series ?? defaultSeries(per_container, 500);
  const amount = one.value ?? one.sum ?? one.max;
  const metric: DeclaredMetric = {
    name: `ftrace_${name}`,
    help,
    kind: kindOf(one),
    start: start === undefined ? undefined : choiceOf(start, dynamicName(name, 'start')),
    event: choiceOf(end ?? event ?? '', dynamicName(name, end === undefined ? 'event' : 'end'), one.where),
    measure: amount === undefined ? undefined : measureOf(amount),
    isInKernel: one.count_in === 'kernel',
    key: keyOf(one.key ?? TASK),
    nested: one.nested ?? 'replace',
    endsAlone: one.ends_alone ?? false,
    labels: Object.entries(one.labels).map(([label, value]) => labelOf(label, value)),
  };
  return { name, options: { enabled, essential, per_cpu, per_container, max_series, buckets, metric } };
}

/** Converts `event`, `start` or `end` of a metric. The name of a kprobe or uprobe still lacks its group (`grouped`). */
function choiceOf(value: z.output<typeof choice>, name: string, filter?: string): EventChoice {
  if (typeof value === 'string') return { event: value, where: filter };
  const { event, args: fields = {}, where: own = filter } = value;
  const kind = DYNAMIC_KINDS.find((key) => value[key] !== undefined);
  return {
    event: event ?? `:${name}`,
    defined: kind === undefined ? undefined : { kind, target: value[kind] ?? '', args: fields },
    where: own,
  };
}

/** Adds the agent's group to the names of the kprobes and uprobes of a metric. */
export function grouped(metric: DeclaredMetric, instance: string): DeclaredMetric {
  const named = (one: EventChoice): EventChoice =>
    one.defined === undefined ? one : { ...one, event: `${dynamicGroup(instance)}${one.event}` };
  const { start, event } = metric;
  return { ...metric, start: start === undefined ? undefined : named(start), event: named(event) };
}

function measureOf(amount: z.output<typeof measure>): Measure {
  return typeof amount === 'string' ? { field: amount, unit: 'none' } : amount;
}

function keyOf(value: z.output<typeof key>): KeyPart[] {
  return (Array.isArray(value) ? value : [value]).map((part) => {
    if (typeof part === 'string') return { start: part, end: part };
    const { mask } = part;
    const sides =
      'field' in part ? { start: part.field, end: part.field } : { start: part.start, end: part.end };
    return mask === undefined ? sides : { ...sides, mask };
  });
}

function labelOf(name: string, value: z.output<typeof label>): DeclaredLabel {
  const {
    field: place,
    as,
    map,
    default: fallback,
  } = typeof value === 'string' ? { field: value } : { ...value };
  const [, side, ofSide = place] = SIDED.exec(place) ?? [];
  const form = map === undefined ? as : 'map';
  return {
    name,
    of: side === 'start' ? 'start' : 'end',
    field: ofSide,
    as: form,
    map,
    default: fallback,
  };
}
