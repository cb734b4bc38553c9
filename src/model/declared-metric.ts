/**
 * A metric declared as data: which events it reads, and how it counts or measures them. Users write such metrics
 * (`metrics:` in the config), and so do probes that need no code of their own.
 */

import type { DynamicEvent } from './dynamic-event.ts';

export const UNITS = ['ns', 'us', 'ms', 's', 'jiffies', 'bytes', 'pages', 'none'] as const;
export type Unit = (typeof UNITS)[number];

export const LABEL_FORMS = [
  'number',
  'hex',
  'text',
  'names',
  'device',
  'errno',
  'symbol',
  'syscall',
  'irq',
  'map',
  'comm',
  'cpu',
] as const;
/** How the value of a field is written. */
export type LabelForm = (typeof LABEL_FORMS)[number];

/** `replace`: the last start counts. `first`: the first one. `stack`: each start has its own end. */
export const NESTINGS = ['replace', 'stack', 'first'] as const;
export type Nesting = (typeof NESTINGS)[number];

/** Prefix of the names of probes that stand for metrics declared in the config. */
export const METRICS_PREFIX = 'metrics/';
/** The CPU that recorded an event, in a key or a label. */
export const CPU = 'cpu';
export const TASK = 'common_pid';

/** An event, and optionally a filter (`where`) in the kernel's filter language. */
export interface EventChoice {
  /** `system:name` */
  event: string;
  /** The agent defines the event itself. */
  defined?: DynamicEvent | undefined;
  where?: string | undefined;
}

/** A part of the key that identifies an operation: its field in the start and end events, and the bits to compare. */
export interface KeyPart {
  start: string;
  end: string;
  mask?: number;
}

export interface DeclaredLabel {
  name: string;
  /** The event that has the field. A metric of one event has only ends. */
  of: 'start' | 'end';
  field: string;
  /** Absent: a text field as it is, a number by its name in the event's print fmt or, without a name, as a number. */
  as?: LabelForm | undefined;
  map?: Readonly<Record<string, string>> | undefined;
  /** The value for numbers that `map` does not contain. Absent: the number itself. */
  default?: string | undefined;
  /** A fixed value; `field` is unused then. */
  constant?: string;
  /** The value is `names[1]` if the field is as large as this other field of the event, else `names[0]`. */
  reaches?: { field: string; names: readonly [string, string] };
  /** If the print fmt has several `__print_symbolic` of the field: skip this many and use the names of the next. */
  nth?: number;
  /** If the kernel lacks the field, the value is `unknown`. Without `isOptional`, the whole metric is then off. */
  isOptional?: true;
}

export interface Measure {
  field: string;
  /** Subtract this field. */
  minus?: string;
  unit: Unit;
}

export interface DeclaredMetric {
  /** With the prefix `ftrace_`. */
  name: string;
  help: string;
  /** `count` and `sum` are counters; `max` is a gauge. */
  kind: 'count' | 'sum' | 'max' | 'histogram';
  /** Absent: a metric of single events. Present: it measures the time to `event`. */
  start?: EventChoice | undefined;
  event: EventChoice;
  /** The number that is summed or counted in buckets; absent for counters, and for pairs, which measure time. */
  measure?: Measure | undefined;
  key: readonly KeyPart[];
  nested: Nesting;
  /** Fields with the times of start and end, in nanoseconds, in place of the times at which the events were recorded. */
  between?: { start: string; end: string };
  /** A start before the end of the last one is normal: not counted as `no_end`. */
  startsAgain?: boolean;
  /** The events belong to no task, so they count even if they interrupt the agent's own threads. */
  isNobodys?: boolean;
  /** Only some kernels have these events; other kernels report the same with other events. */
  isVariant?: boolean;
  /** Ends without a start are normal: not counted as unmatched. */
  endsAlone?: boolean;
  labels: readonly DeclaredLabel[];
}
