/**
 * Encodes how much all counters and histograms grew between two moments. All numbers are varints:
 *   column  = block…                            one block per store and family with changes
 *   block   = family number, length of its series in bytes, series…
 *   series  = series number minus the previous one, then the changes of the series
 *   counter = difference, in recorded units
 *   histogram = difference of the sum in ns, number of buckets, then for each: code minus the previous one, count
 * The code of the bucket of zeros is 0. The code of the exponential bucket i (scale 3) is i + BUCKET_CODE.
 */
import {
  FINE_BLOCK_BITS,
  FINE_BLOCK_SIZE,
  type HistogramGrid,
  ZERO_BUCKET,
} from '../model/histogram-grid.ts';
import {
  type FamilySnapshot,
  type HistogramSnapshot,
  isSameFamily,
  type MetricSnapshot,
} from '../model/metric.ts';
import type { Catalogue, HistoryFamily } from './catalogue.ts';
import { ByteReader, ByteWriter } from './varint.ts';

/** Code of the bucket with index 0. The lowest exponential bucket has index -240 and code 1. */
const BUCKET_CODE = 241;
const CODES = 512;

export function bucketOfCode(code: number): number {
  return code === 0 ? ZERO_BUCKET : code - BUCKET_CODE;
}

export function codeOfBucket(index: number): number {
  return index === ZERO_BUCKET ? 0 : index + BUCKET_CODE;
}

interface Position {
  family: HistoryFamily;
  numbers: readonly number[];
  snapshot: FamilySnapshot;
}

/** The counters and histograms of all stores at one moment, by store and name. */
export type Moment = ReadonlyMap<string, Position>;

/** Collects counters and histograms. Keys contain the index of the store, because stores can share families. */
export function momentOf(snapshots: readonly MetricSnapshot[], catalogue: Catalogue): Moment {
  const moment = new Map<string, Position>();
  snapshots.forEach(({ families }, store) => {
    for (const snapshot of families) {
      const family = catalogue.familyOf(snapshot);
      if (family === undefined) continue;
      moment.set(`${store}/${snapshot.spec.name}`, {
        family,
        numbers: catalogue.numbersOf(family, snapshot),
        snapshot,
      });
    }
  });
  return moment;
}

export interface ColumnEncoder {
  /** Returns the column between two moments. Undefined if a value has decreased, as after a restart. */
  encode(before: Moment, after: Moment): Uint8Array | undefined;
}

export function makeColumnEncoder(): ColumnEncoder {
  const column = new ByteWriter();
  const block = new ByteWriter();
  const growth: Buckets = { codes: new Int32Array(CODES), counts: new Float64Array(CODES) };

  /** Writes the changes of a counter family to `block`. Returns false if a value has decreased. */
  const counterBlock = (after: Position, before: Position | undefined): boolean => {
    const slotBefore = slotFinder(after, before);
    let previous = 0;
    for (const slot of ordered(after.numbers)) {
      const now = after.snapshot.values[slot];
      const old = before?.snapshot.values[slotBefore(slot)] ?? 0;
      if (now === old || Number.isNaN(now)) continue;
      // Round the totals, not the differences, so that the sum of all differences stays exact.
      const difference = Math.round(now) - (Number.isNaN(old) ? 0 : Math.round(old));
      if (difference < 0) return false;
      if (difference === 0) continue;
      block.number(after.numbers[slot] - previous);
      previous = after.numbers[slot];
      block.number(difference);
    }
    return true;
  };

  const histogramBlock = (after: Position, before: Position | undefined): boolean => {
    const { grid } = after.family;
    const data = after.snapshot.histogram;
    const old = before?.snapshot.histogram;
    if (grid === undefined || data === undefined) return true;
    const slotBefore = slotFinder(after, before);
    let previous = 0;
    for (const slot of ordered(after.numbers)) {
      const at = slotBefore(slot);
      const now = data.counts[slot];
      const then = old?.counts[at];
      if (Number.isNaN(now) || now === then || (now === 0 && then === undefined)) continue;
      const continues = old !== undefined && then !== undefined && !Number.isNaN(then);
      const used = differences(grid, { data, slot }, continues ? { data: old, slot: at } : undefined, growth);
      if (used < 0) return false;
      const sum = Math.round(data.sumsNs[slot]) - (continues ? Math.round(old.sumsNs[at]) : 0);
      block.number(after.numbers[slot] - previous);
      previous = after.numbers[slot];
      block.number(Math.max(0, sum));
      block.number(used);
      let code = 0;
      for (let i = 0; i < used; i++) {
        block.number(growth.codes[i] - code);
        code = growth.codes[i];
        block.number(growth.counts[i]);
      }
    }
    return true;
  };

  return {
    encode: (before, after) => {
      column.length = 0;
      for (const [key, position] of after) {
        block.length = 0;
        const write = position.family.grid === undefined ? counterBlock : histogramBlock;
        const old = before.get(key);
        // A reload can create a family again. The new family starts at 0, so ignore the old values.
        const isSame = old !== undefined && isSameFamily(old.snapshot, position.snapshot);
        if (!write(position, isSame ? old : undefined)) return undefined;
        if (block.length === 0) continue;
        column.number(position.family.number);
        column.number(block.length);
        column.append(block.view());
      }
      return column.view().slice();
    },
  };
}

/** Returns the slots in the order of their series numbers. */
function ordered(numbers: readonly number[]): readonly number[] {
  let order = orders.get(numbers);
  if (order === undefined || order.length !== numbers.length) {
    order = numbers.map((_, slot) => slot).sort((a, b) => numbers[a] - numbers[b]);
    orders.set(numbers, order);
  }
  return order;
}

const orders = new WeakMap<readonly number[], readonly number[]>();

/** Maps the slot of a series in `after` to its slot in `before`; to -1 if the series did not exist. */
function slotFinder(after: Position, before: Position | undefined): (slot: number) => number {
  if (before === undefined) return () => -1;
  const count = before.snapshot.seriesCount;
  if (before.numbers === after.numbers) return (slot) => (slot < count ? slot : -1);
  const slots = new Map(before.numbers.slice(0, count).map((number, slot) => [number, slot]));
  return (slot) => slots.get(after.numbers[slot]) ?? -1;
}

interface Buckets {
  codes: Int32Array;
  counts: Float64Array;
}

interface SeriesData {
  data: HistogramSnapshot;
  slot: number;
}

/**
 * Fills `out` with the buckets that have grown, in ascending order. Returns their number, or -1 if a count has
 * decreased. Makes only one pass, because the history spends most of its CPU time here.
 */
function differences(
  { blocksPerSeries, exponentialIndex }: HistogramGrid,
  { data, slot }: SeriesData,
  before: SeriesData | undefined,
  out: Buckets,
): number {
  const first = slot * blocksPerSeries;
  const firstBefore = (before?.slot ?? 0) * blocksPerSeries;
  let used = 0;
  for (let b = 0; b < blocksPerSeries; b++) {
    const block = data.directory[first + b] << FINE_BLOCK_BITS;
    if (block === 0) continue;
    const old = before === undefined ? 0 : before.data.directory[firstBefore + b] << FINE_BLOCK_BITS;
    for (let i = 0; i < FINE_BLOCK_SIZE; i++) {
      const grown = data.blocks[block + i] - (before === undefined ? 0 : before.data.blocks[old + i]);
      if (grown === 0) continue;
      if (grown < 0) return -1;
      const code = codeOfBucket(exponentialIndex[(b << FINE_BLOCK_BITS) + i]);
      // Classic bounds can divide an exponential bucket into several fine buckets with the same code.
      if (used > 0 && out.codes[used - 1] === code) out.counts[used - 1] += grown;
      else {
        out.codes[used] = code;
        out.counts[used++] = grown;
      }
    }
  }
  return used;
}

export interface ColumnVisitor {
  counter(series: number, difference: number): void;
  /** Called once per series, before the calls of `bucket` for the series. */
  histogram(series: number, sumNs: number): void;
  bucket(series: number, code: number, count: number): void;
}

/** Calls `visitor` for each change of one family in a column. */
export function visitFamily(
  bytes: Uint8Array,
  family: Pick<HistoryFamily, 'number' | 'grid'>,
  visitor: ColumnVisitor,
): void {
  const reader = new ByteReader(bytes);
  while (reader.at < bytes.length) {
    const number = reader.number();
    const end = reader.number() + reader.at;
    if (number === family.number) visitBlock(new ByteReader(bytes, reader.at, end), family.grid, visitor);
    reader.at = end;
  }
}

function visitBlock(reader: ByteReader, grid: HistogramGrid | undefined, visitor: ColumnVisitor): void {
  let series = 0;
  while (reader.at < reader.end) {
    series += reader.number();
    if (grid === undefined) {
      visitor.counter(series, reader.number());
      continue;
    }
    visitor.histogram(series, reader.number());
    let code = 0;
    for (let remaining = reader.number(); remaining > 0; remaining--) {
      code += reader.number();
      visitor.bucket(series, code, reader.number());
    }
  }
}

/** Appends the block of a family to a column. `series` contains the changes by series number. */
export function writeFamily(
  column: ByteWriter,
  family: HistoryFamily,
  series: ReadonlyMap<number, { sum: number; counts: ReadonlyMap<number, number> }>,
): void {
  if (series.size === 0) return;
  const block = new ByteWriter();
  let previous = 0;
  for (const [number, { sum, counts }] of [...series].sort(([a], [b]) => a - b)) {
    block.number(number - previous);
    previous = number;
    block.number(sum);
    if (family.grid === undefined) continue;
    block.number(counts.size);
    let before = 0;
    for (const [code, count] of [...counts].sort(([a], [b]) => a - b)) {
      block.number(code - before);
      before = code;
      block.number(count);
    }
  }
  column.number(family.number);
  column.number(block.length);
  column.append(block.view());
}
