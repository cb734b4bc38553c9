/**
 * A declared metric, as data: which events it reads, and what becomes of them. Written by users (`metrics:` in the
 * config) and by probes that need no code of their own.
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

/** Prefix of the name of a probe that is a metric of the config. */
export const METRICS_PREFIX = 'metrics/';
/** The CPU that recorded an event, in a key or a label. */
export const CPU = 'cpu';
export const TASK = 'common_pid';

/** Events of one kind, with the kernel's filter language. */
export interface EventChoice {
  /** `system:name` */
  event: string;
  /** The agent defines the event itself. */
  defined?: DynamicEvent | undefined;
  where?: string | undefined;
}

/** A part of what identifies an operation: the field in either event, and the bits that count. */
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
  /** Absent: names from the event's print fmt, text of a text, else the number. */
  as?: LabelForm | undefined;
  map?: Readonly<Record<string, string>> | undefined;
  /** Of `map`: the value for all other numbers. Absent: the number. */
  default?: string | undefined;
  /** The value, if it is always the same; there is no field then. */
  constant?: string;
  /** The value is `names[1]` if the field is as large as this other field of the event, else `names[0]`. */
  reaches?: { field: string; names: readonly [string, string] };
  /** Use the names of another `__print_symbolic` of the field: this many later in the print fmt. */
  nth?: number;
  /** A kernel without the field has the value `unknown`. Absent: without the field there is no metric. */
  isOptional?: true;
}

export interface Measure {
  field: string;
  /** The measure is the field less this one. */
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
  /** Events of no task in particular: those that interrupt the agent's own threads count, too. */
  isNobodys?: boolean;
  /** Only some kernels have these events, and others have the same by other events. */
  isVariant?: boolean;
  /** Ends without a start are normal: not counted as unmatched. */
  endsAlone?: boolean;
  labels: readonly DeclaredLabel[];
}
