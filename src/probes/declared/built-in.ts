/** Declares the metrics of built-in probes, and makes probes from declared metrics (src/model/declared-metric.ts). */

import type { z } from 'zod';
import { DEFAULT_BUCKETS } from '../../config/units/buckets.ts';
import type { SchemaKit } from '../../config/units.ts';
import {
  type DeclaredLabel,
  type DeclaredMetric,
  type EventChoice,
  type KeyPart,
  type Measure,
  TASK,
} from '../../model/declared-metric.ts';
import type { CommonOptions, EventNeed, ProbeModule } from '../probe.ts';
import { familyOf, needsOf, runMetrics } from './module.ts';

type Event = string | EventChoice;
/**
 * A string names a field: `FIELD` or `end.FIELD` of the end event, or `start.FIELD` of the start event. An object
 * without `field` means the field with the label's name.
 */
type Labels = Readonly<Record<string, string | Partial<DeclaredLabel>>>;
type More = Partial<Omit<DeclaredMetric, 'labels' | 'key'>> & {
  labels?: Labels;
  key?: readonly (string | KeyPart)[];
};

/** Makes a counter of events; with `kind: 'sum'` and `measure`, a sum of a number in the events. */
export function counter(name: string, help: string, event: Event, more: More = {}): DeclaredMetric {
  return metric(name, help, 'count', event, more);
}

/** Makes a histogram of a number that each event contains. */
export function histogram(
  name: string,
  help: string,
  event: Event,
  measure: Measure,
  more: More = {},
): DeclaredMetric {
  return metric(name, help, 'histogram', event, { measure, ...more });
}

/** Makes a histogram of the time from a start event to its end event. */
export function pair(name: string, help: string, start: Event, end: Event, more: More = {}): DeclaredMetric {
  return metric(name, help, 'histogram', end, { start: choiceOf(start), ...more });
}

export function constant(value: string): Partial<DeclaredLabel> {
  return { constant: value, field: '' };
}

function metric(
  name: string,
  help: string,
  kind: DeclaredMetric['kind'],
  event: Event,
  more: More,
): DeclaredMetric {
  const { labels = {}, key = [TASK], ...rest } = more;
  return {
    name,
    help,
    kind,
    event: choiceOf(event),
    nested: 'replace',
    ...rest,
    key: key.map((part) => (typeof part === 'string' ? { start: part, end: part } : part)),
    labels: Object.entries(labels).map(([label, value]) => labelOf(label, value)),
  };
}

function choiceOf(event: Event): EventChoice {
  return typeof event === 'string' ? { event } : event;
}

function labelOf(name: string, value: string | Partial<DeclaredLabel>): DeclaredLabel {
  const { field = name, ...rest } = typeof value === 'string' ? { field: value } : value;
  const [, side, plain = field] = /^(start|end)\.(.+)$/.exec(field) ?? [];
  return { name, of: side === 'start' ? 'start' : 'end', field: plain, ...rest };
}

interface Parts<Own extends object> {
  name: string;
  help: string;
  rate: ProbeModule['rate'];
  /** Default bucket bounds, in seconds. If absent, 1 µs to 10 s. */
  buckets?: readonly number[];
  /** Config keys that only this probe has, with defaults. */
  schema?(kit: SchemaKit): Record<keyof Own & string, z.ZodType>;
  check?: z.core.CheckFn<CommonOptions & Own>;
  metrics: readonly DeclaredMetric[] | ((options: Own) => readonly DeclaredMetric[]);
  /** If true, the probe's config has the key `per_container`. */
  ofTasks?: true;
  /** If absent, all metrics are enabled. */
  isOn?(metric: DeclaredMetric, options: Own): boolean;
}

/** Makes a probe. A metric does not run if the kernel lacks one of its events or fields. */
export function declaredProbe<Own extends object = object>(
  parts: Parts<Own>,
): ProbeModule<CommonOptions & Own> {
  const { name, help, rate, metrics, isOn = () => true, schema } = parts;
  const all = (options: Own) => (typeof metrics === 'function' ? metrics(options) : metrics);
  const wanted = (options: Own) => all(options).filter((one) => isOn(one, options));
  const families = new Map(all({} as Own).map((one) => [one.name, one]));
  return {
    name,
    help,
    byDefault: false,
    rate,
    schema: (kit) => {
      const { buckets = DEFAULT_BUCKETS, check } = parts;
      const defaults = { enabled: false, per_cpu: false, max_series: 500, buckets };
      // TypeScript cannot express that the schema matches the type of the options.
      const make = parts.ofTasks ? kit.taskProbeSchema : kit.probeSchema;
      const made = make(defaults, { ...schema?.(kit) }) as unknown as z.ZodType<CommonOptions & Own>;
      return check === undefined ? made : made.check(check);
    },
    needs: (options) => wanted(options).flatMap(builtInNeeds),
    create: (context, options) => runMetrics(context, wanted(options), options, all(options)),
    metrics: [...families.values()].map(familyOf),
  };
}

/**
 * All events are optional. The agent does not report missing events of variants (`isVariant`), because only some
 * kernels have these events.
 */
function builtInNeeds(one: DeclaredMetric): EventNeed[] {
  const fixed = one.labels.find(({ constant: value }) => value !== undefined);
  const what = fixed ? `${one.name}{${fixed.name}="${fixed.constant}"}` : one.name;
  return needsOf(one, one.isVariant ? '' : `${what} is not measured`);
}
