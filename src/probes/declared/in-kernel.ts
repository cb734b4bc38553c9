/**
 * Runs a declared counter whose events the kernel counts, by field values (see kernel-count.ts). The field values are
 * written into a record, so that labels are read as from a recorded event.
 */
import { writeInteger } from '../../decode/text/scratch.ts';
import type { DeclaredLabel, DeclaredMetric } from '../../model/declared-metric.ts';
import type { EventFormat, FieldFormat } from '../../model/format.ts';
import { KERNEL_CPU } from '../../model/kernel-count.ts';
import type { CommonOptions, ProbeContext } from '../probe.ts';
import type { Amounts } from './amounts.ts';
import { isTextField } from './label-names.ts';
import { isOfCpu, type LabelRows } from './labels.ts';
import type { RunningMetric } from './pair.ts';

/** Key of counters without labels, because the kernel requires a key. All records of an event have the same value. */
const CONSTANT = 'common_type';

/** Throws an `Error` if the kernel cannot count by these labels. */
export function runInKernel(
  context: ProbeContext,
  { labels, event: { event } }: DeclaredMetric,
  { per_cpu, max_series }: CommonOptions,
  format: EventFormat,
  rows: LabelRows,
  amounts: Amounts,
): RunningMetric {
  if (labels.some((label) => label.as === 'symbol') && context.functions.isOfText)
    throw new Error(
      'with count_in: kernel, the kernel counts by address, and reader: trace_pipe cannot name addresses: remove count_in',
    );
  const fields = labels.map((label) => keyOf(label, format));
  const names = fields.map((field) => field?.name ?? KERNEL_CPU);
  const keys = [...new Set(per_cpu ? [...names, KERNEL_CPU] : names)];
  const room = keys.length === 0 ? 1 : 2 * max_series * (per_cpu ? context.cpuCount : 1);
  const count = context.countInKernel?.({ event, keys: keys.length === 0 ? [CONSTANT] : keys, room });
  const length = Math.max(...format.fields.map(({ offset, size }) => offset + size));
  const buffer = new ArrayBuffer(Math.ceil(length / 4) * 4);
  const [words, bytes] = [new Int32Array(buffer), new Uint8Array(buffer)];
  const record = { words, bytes, offset: 0, length, cpu: 0, timestampNs: 0 };
  const add = (values: readonly bigint[], more: number): void => {
    for (const field of fields) {
      if (field === undefined) continue;
      const value = values[keys.indexOf(field.name)];
      const high = Number(BigInt.asIntN(32, value >> 32n));
      writeInteger(bytes, field.offset, field.size, Number(BigInt.asIntN(32, value)), high);
    }
    if (keys.includes(KERNEL_CPU)) record.cpu = Number(values[keys.indexOf(KERNEL_CPU)]);
    amounts.record(rows.read(record), record.cpu, more);
  };
  context.metrics.onSnapshot(() => {
    rows.refresh();
    count?.read(add);
  });
  return { handlers: [], counted: [event], refresh: () => {} };
}

/**
 * Returns the field of a label; undefined if the label is the CPU. Throws an `Error` if the field is missing or is not
 * a number.
 */
function keyOf(label: DeclaredLabel, format: EventFormat): FieldFormat | undefined {
  if (isOfCpu(label, format)) return undefined;
  const field = format.fields.find(({ name }) => name === label.field);
  if (field === undefined || isTextField(field) || field.array)
    throw new Error(
      `count_in: kernel needs labels that are numbers, but field ${label.field} of ${format.system}:${format.name} is not a number: remove count_in`,
    );
  return field;
}
