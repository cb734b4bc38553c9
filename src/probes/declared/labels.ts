/** Assigns a row (a small number) to each combination of label values. A known combination costs no allocation. */

import { bytesReader, intReader, wordOffset } from '../../decode/fields.ts';
import { slotLookup } from '../../model/containers.ts';
import { CPU, type DeclaredLabel, isOfContainer } from '../../model/declared-metric.ts';
import type { EventFormat } from '../../model/format.ts';
import type { EventRecord, IntReader } from '../../model/record.ts';
import type { ProbeContext } from '../probe.ts';
import { TextRows } from '../tables/text-rows.ts';
import { OTHER_ROW, ValueRows } from '../tables/value-rows.ts';
import { containersOf, isTextField, type NumberNamer, namerOf } from './label-names.ts';

/** Maximum number of values of one label, and of combinations. `max_series` is an additional limit. */
const MOST_VALUES = 1000;
const MISSING = 'unknown';

export type RowReader = (record: EventRecord) => number;

/** Rows for the combinations of a group of labels. */
export interface LabelRows {
  read: RowReader;
  /** Returns the values of a row, one per label. */
  values(row: number): readonly string[];
  /** Updates the names of numbers. Call this about once a second. */
  refresh(): void;
}

export interface LabelFacts {
  context: Pick<ProbeContext, 'host' | 'functions'>;
  /** Called when a value gets the row `other` because of the limit. */
  onRefused(): void;
}

const nothing = () => {};

/** Makes the rows for labels of one event. Throws an `Error` if a field is missing or has the wrong type. */
export function makeLabelRows(
  labels: readonly DeclaredLabel[],
  format: EventFormat,
  facts: LabelFacts,
): LabelRows {
  const columns = labels.map((label) => columnOf(label, format, facts));
  return columns.reduce((before, next) => joined(before, next, facts), {
    read: () => 0,
    values: () => [],
    refresh: nothing,
  } as LabelRows);
}

/** Combines the rows of two groups of labels. */
function joined(a: LabelRows, b: LabelRows, facts: LabelFacts): LabelRows {
  if (a.values(0).length === 0) return b;
  if (b.values(0).length === 0) return a;
  const pairs = pairRows(a, b, facts);
  return {
    read: (record) => pairs.row(a.read(record), b.read(record)),
    values: pairs.values,
    refresh: () => {
      a.refresh();
      b.refresh();
    },
  };
}

export interface PairRows {
  row(a: number, b: number): number;
  values(row: number): readonly string[];
}

/** Assigns a row to each pair of a row of `a` and a row of `b`. */
export function pairRows(
  a: Pick<LabelRows, 'values'>,
  b: Pick<LabelRows, 'values'>,
  { onRefused }: LabelFacts,
): PairRows {
  const rows = new ValueRows(
    { nameOf: (low, high) => `${low} ${high}`, generation: 0 },
    MOST_VALUES,
    onRefused,
  );
  const width = a.values(0).length + b.values(0).length;
  return {
    row: (first, second) => rows.row(first, second),
    values: (row) => {
      const [first, second] = (rows.names[row] ?? '').split(' ').map(Number);
      if (second === undefined || Number.isNaN(first)) return new Array(width).fill(rows.names[OTHER_ROW]);
      return [...a.values(first), ...b.values(second)];
    },
  };
}

function columnOf(label: DeclaredLabel, format: EventFormat, facts: LabelFacts): LabelRows {
  const field = format.fields.find(({ name }) => name === label.field);
  if (label.reaches !== undefined) return reachesColumn(label.reaches, label.field, format);
  if (label.constant !== undefined || (field === undefined && label.isOptional)) {
    const value = [label.constant ?? MISSING];
    return { read: () => 0, values: () => value, refresh: nothing };
  }
  if (isOfCpu(label, format))
    return { read: ({ cpu }) => cpu, values: (row) => [String(row)], refresh: nothing };
  if (field === undefined)
    throw new Error(`event ${format.system}:${format.name} has no field ${label.field}`);
  if (isTextField(field)) {
    if (label.as !== undefined && label.as !== 'text')
      throw new Error(
        `field ${field.name} of ${format.system}:${format.name} is a string, so \`as: ${label.as}\` is not possible`,
      );
    return textColumn(format, field.name, facts);
  }
  if (label.as === 'text' && label.isOptional)
    return { read: () => 0, values: () => [MISSING], refresh: nothing };
  if (label.as === 'text')
    throw new Error(`field ${field.name} of ${format.system}:${format.name} (${field.type}) is not a string`);
  const namer = namerOf(label, format, field, facts.context);
  const generation = label.as === 'symbol' ? facts.context.functions : { generation: 0 };
  // Look up these names again every second: the kernel reuses pids, and a container gets its name with a delay.
  const isForgetful = label.as === 'comm' || isOfContainer(label);
  const readerOf = (rows: ValueRows): RowReader => {
    if (isOfContainer(label)) return narrowReader(rows, slotReader(format, field.name, facts));
    return field.size === 8
      ? wideReader(rows, wordOffset(format, field.name))
      : narrowReader(rows, intReader(format, field.name));
  };
  return namedColumn(readerOf, namer, generation, isForgetful, facts);
}

/** Whether the value of the label is the CPU of the event. */
export function isOfCpu(label: DeclaredLabel, format: EventFormat): boolean {
  const isCpu = label.as === 'cpu' || (label.field === CPU && label.as === undefined);
  return isCpu && (label.field === CPU || !format.fields.some(({ name }) => name === label.field));
}

function reachesColumn(
  { field: limit, names }: NonNullable<DeclaredLabel['reaches']>,
  field: string,
  format: EventFormat,
): LabelRows {
  const [value, most] = [intReader(format, field), intReader(format, limit)];
  return {
    read: (record) => (value(record) >= most(record) ? 1 : 0),
    values: (row) => [names[row]],
    refresh: nothing,
  };
}

function textColumn(format: EventFormat, field: string, { onRefused }: LabelFacts): LabelRows {
  const text = bytesReader(format, field);
  const rows = new TextRows(MOST_VALUES, onRefused);
  return {
    read: (record) => rows.row(record.bytes, text.start(record), text.end(record)),
    values: (row) => [rows.names[row]],
    refresh: nothing,
  };
}

/** Returns a function that reads a pid from a field and returns the slot of the task's container. */
function slotReader(format: EventFormat, field: string, { context }: LabelFacts): IntReader {
  const slotOf = slotLookup(containersOf(context));
  const taskOf = intReader(format, field);
  return (record) => slotOf(taskOf(record));
}

function namedColumn(
  readerOf: (rows: ValueRows) => RowReader,
  nameOf: NumberNamer,
  names: { readonly generation: number },
  isForgetful: boolean,
  { onRefused }: LabelFacts,
): LabelRows {
  let second = 0;
  const source = {
    nameOf,
    get generation() {
      return isForgetful ? second : names.generation;
    },
  };
  const rows = new ValueRows(source, MOST_VALUES, onRefused);
  return {
    read: readerOf(rows),
    values: (row) => [rows.names[row]],
    refresh: () => {
      second++;
      rows.refresh();
    },
  };
}

function wideReader(rows: ValueRows, at: number): RowReader {
  return ({ words, offset }) => rows.row(words[(offset >> 2) + at], words[(offset >> 2) + at + 1]);
}

function narrowReader(rows: ValueRows, read: RowReader): RowReader {
  return (record) => rows.row(read(record) | 0, 0);
}
