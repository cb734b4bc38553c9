/** A metric declared as data, by users (`metrics:` in the config) or by a built-in probe. */

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
  'container',
] as const;
/** How the value of a field becomes a label value. */
export type LabelForm = (typeof LABEL_FORMS)[number];

/**
 * How a metric handles a second start event with the same key before the end event. `replace`: the operation begins at
 * the last start event. `first`: the operation begins at the first start event. `stack`: operations are nested, and an
 * end event ends the innermost one.
 */
export const NESTINGS = ['replace', 'stack', 'first'] as const;
export type Nesting = (typeof NESTINGS)[number];

/** Prefix of the names of probes for metrics of the config. */
export const METRICS_PREFIX = 'metrics/';
/** As the field of a key or label: the CPU that recorded the event. */
export const CPU = 'cpu';
export const TASK = 'common_pid';

/** An event, and optionally a filter (`where`) in the kernel's syntax. */
export interface EventChoice {
  /** `system:name` */
  event: string;
  /** Set if the agent defines the event. */
  defined?: DynamicEvent | undefined;
  where?: string | undefined;
}

/**
 * Part of the key of an operation: fields of its start and end events, and optionally a mask of the bits to compare.
 */
export interface KeyPart {
  start: string;
  end: string;
  mask?: number;
}

export interface DeclaredLabel {
  name: string;
  /** The event with the field. Always `end` if the metric has no start event. */
  of: 'start' | 'end';
  field: string;
  /** If absent, text stays unchanged, and a number becomes its name if the event's print fmt defines one. */
  as?: LabelForm | undefined;
  map?: Readonly<Record<string, string>> | undefined;
  /** Label value of numbers that `map` does not contain. Absent: the number itself. */
  default?: string | undefined;
  /** A fixed label value. `field` is then ignored. */
  constant?: string;
  /** The label value is `names[1]` if the value of `field` is at least that of `reaches.field`, else `names[0]`. */
  reaches?: { field: string; names: readonly [string, string] };
  /** Which of several `__print_symbolic` calls for the field to use, from 0. */
  nth?: number;
  /** Set: if the kernel lacks the field, the label value is `unknown`. Absent: the whole metric is then off. */
  isOptional?: true;
}

/** Returns the field of `event` with the pid of the metric's task; undefined if the metric has no task. */
export function taskFieldOf({ task, isNobodys, start, key }: DeclaredMetric): string | undefined {
  const isTasks =
    start === undefined ? !isNobodys : key.some((part) => part.start === TASK && part.end === TASK);
  return task ?? (isTasks ? TASK : undefined);
}

/** Whether a probe with these options needs the containers of tasks. */
export function needsContainers(options: object): boolean {
  const { per_container, metric } = options as { per_container?: boolean; metric?: DeclaredMetric };
  return per_container === true || metric?.labels.some(isOfContainer) === true;
}

export function isOfContainer(label: Pick<DeclaredLabel, 'as'>): boolean {
  return label.as === 'container';
}

export interface Measure {
  field: string;
  /** Field whose value is subtracted. */
  minus?: string;
  unit: Unit;
}

export interface DeclaredMetric {
  /** Includes the prefix `ftrace_`. */
  name: string;
  help: string;
  /** `count` and `sum` are counters; `max` is a gauge. */
  kind: 'count' | 'sum' | 'max' | 'histogram';
  /** Present: the metric measures the time from `start` to `event`. */
  start?: EventChoice | undefined;
  event: EventChoice;
  /** The number to record. Absent for `count`, and if the metric measures the time from `start` to `event`. */
  measure?: Measure | undefined;
  /**
   * Only if `measure` is a duration. `spent`: the duration ended at the event. `spends`: the duration begins at the
   * event, because the task then sleeps for this time.
   */
  taskTime?: 'spent' | 'spends';
  /** Whether the kernel counts the events instead of recording them. */
  isInKernel?: boolean;
  key: readonly KeyPart[];
  nested: Nesting;
  /** Replaces the timestamps by fields (in nanoseconds) of the start event and of the end event. */
  between?: { start: string; end: string };
  /** A second start event before the end event is normal: do not count an unmatched operation (`no_end`). */
  startsAgain?: boolean;
  /**
   * Field of `event` with the pid of the metric's task, used to find the container. Default: `common_pid` if the metric
   * has a task. Whether the agent itself caused an event always depends on `common_pid`.
   */
  task?: string;
  /** The events belong to no task. They count even if they interrupted one of the agent's threads. */
  isNobodys?: boolean;
  /** Only some kernels have these events. Others report the same facts with other events. */
  isVariant?: boolean;
  /** An end event without a start event is normal: do not count an unmatched operation (`no_start`). */
  endsAlone?: boolean;
  labels: readonly DeclaredLabel[];
}
