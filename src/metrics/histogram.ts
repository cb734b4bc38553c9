import {
  cellOf,
  FINE_BLOCK_BITS,
  FINE_BLOCK_SIZE,
  gridOf,
  type HistogramGrid,
} from '../model/histogram-grid.ts';
import type { FamilySnapshot, MetricSpec } from '../model/metric.ts';
import { grownFloats, grownWords } from './columns.ts';
import type { Family } from './family.ts';
import { labelsSince } from './series-labels.ts';
import { SeriesTable } from './series-table.ts';

// Local copies, because V8 would read an imported constant from memory at each use.
const BLOCK_BITS = FINE_BLOCK_BITS;
const IN_BLOCK = FINE_BLOCK_SIZE - 1;
const TWO_POW_31 = 2147483648;

/** Initial array sizes: 324 KiB per family, of which the system allocates only the written memory pages. */
const FIRST_SERIES = 512;
const FIRST_BLOCKS = 2048;

/**
 * Histograms of durations in nanoseconds, or of other whole numbers, with the fine buckets of histogram-grid.ts.
 * Allocates blocks of 16 buckets when first used, because most series span only a few octaves.
 */
export class HistogramFamily implements Family {
  readonly table: SeriesTable;
  readonly grid: HistogramGrid;
  /**
   * The fast path of `record`. Returns false without recording if the duration is below 1 ns or at least 2^31 ns, if
   * its cell needs a search, or if its block is not allocated.
   */
  readonly recordUsual: (slot: number, ns: number) => boolean;
  readonly record: (slot: number, ns: number) => void;
  /** Block of each 16 fine buckets, by slot. Public, because V8 treats public fields as constant until they change. */
  directory = new Int32Array(FIRST_SERIES * 32);
  blocks = new Float64Array(FIRST_BLOCKS * FINE_BLOCK_SIZE);
  sums = new Float64Array(FIRST_SERIES);
  /** Unused directory entries refer to block 0, which stays empty. */
  #usedBlocks = 1;
  readonly #freeBlocks: number[] = [];

  constructor(spec: MetricSpec) {
    this.table = new SeriesTable(spec);
    const grid = gridOf(spec);
    this.grid = grid;
    const { cells, blocksPerSeries } = grid;
    const cellIn = cellOf;
    this.recordUsual = (slot, ns) => {
      if (!(ns >= 1 && ns < TWO_POW_31)) return false;
      const whole = ns | 0;
      const cell = cellIn(whole);
      const first = cells[cell];
      if (first < 0) return false;
      // No branch, because CPUs would mispredict it on random durations.
      const fine = first + ((cells[cell + 1] - whole) >>> 31);
      const block = this.directory[slot * blocksPerSeries + (fine >> BLOCK_BITS)];
      if (block === 0) return false;
      this.blocks[(block << BLOCK_BITS) + (fine & IN_BLOCK)] += 1;
      this.sums[slot] += ns;
      return true;
    };
    this.record = (slot, ns) => {
      if (!this.recordUsual(slot, ns)) this.#recordAny(slot, ns);
    };
  }

  #recordAny(slot: number, ns: number): void {
    const fine = this.grid.bucketOf(ns);
    const at = slot * this.grid.blocksPerSeries + (fine >> BLOCK_BITS);
    const block = this.directory[at] || this.#allocate(at);
    this.blocks[(block << BLOCK_BITS) + (fine & IN_BLOCK)] += 1;
    this.sums[slot] += ns;
  }

  slot(values: readonly string[]): number {
    return this.#withRoom(this.table.slot(values));
  }

  hold(): number {
    return this.#withRoom(this.table.hold());
  }

  move(from: number, into: number): void {
    const { blocksPerSeries } = this.grid;
    for (let i = 0; i < blocksPerSeries; i++) {
      const block = this.directory[from * blocksPerSeries + i] << FINE_BLOCK_BITS;
      if (block === 0) continue;
      const at = into * blocksPerSeries + i;
      const target = (this.directory[at] || this.#allocate(at)) << FINE_BLOCK_BITS;
      for (let fine = 0; fine < FINE_BLOCK_SIZE; fine++)
        this.blocks[target + fine] += this.blocks[block + fine];
    }
    this.sums[into] += this.sums[from];
    this.remove(from);
  }

  remove(slot: number): void {
    this.table.remove(slot);
    this.#empty(slot);
  }

  #withRoom(slot: number): number {
    const entries = (slot + 1) * this.grid.blocksPerSeries;
    if (slot >= this.sums.length) this.sums = grownFloats(this.sums, slot + 1);
    if (entries > this.directory.length) this.directory = grownWords(this.directory, entries);
    return slot;
  }

  release(label: string, value: string): void {
    for (const slot of this.table.release(label, value)) this.#empty(slot);
  }

  #empty(slot: number): void {
    const first = slot * this.grid.blocksPerSeries;
    for (let at = first; at < first + this.grid.blocksPerSeries; at++) {
      const block = this.directory[at];
      if (block === 0) continue;
      this.blocks.fill(0, block << FINE_BLOCK_BITS, (block + 1) << FINE_BLOCK_BITS);
      this.#freeBlocks.push(block);
      this.directory[at] = 0;
    }
    this.sums[slot] = 0;
  }

  snapshot(labelsFrom: number): FamilySnapshot {
    const n = this.table.length;
    const counts = new Float64Array(n);
    for (let s = 0; s < n; s++)
      counts[s] = this.table.labelsOf(s) === undefined ? Number.NaN : this.#count(s);
    return {
      ...labelsSince(this.table, labelsFrom),
      values: new Float64Array(0),
      histogram: {
        directory: this.directory.slice(0, n * this.grid.blocksPerSeries),
        blocks: this.blocks.slice(0, this.#usedBlocks << FINE_BLOCK_BITS),
        sumsNs: this.sums.slice(0, n),
        counts,
      },
    };
  }

  /** Number of values of a series. Not stored, so that `record` needs one write less. */
  #count(slot: number): number {
    const first = slot * this.grid.blocksPerSeries;
    let count = 0;
    for (let at = first; at < first + this.grid.blocksPerSeries; at++) {
      const block = this.directory[at] << FINE_BLOCK_BITS;
      if (block === 0) continue;
      for (let i = block; i < block + FINE_BLOCK_SIZE; i++) count += this.blocks[i];
    }
    return count;
  }

  #allocate(at: number): number {
    const block = this.#freeBlocks.pop() ?? this.#usedBlocks++;
    if (this.#usedBlocks << FINE_BLOCK_BITS > this.blocks.length) {
      this.blocks = grownFloats(this.blocks, this.#usedBlocks << FINE_BLOCK_BITS);
    }
    this.directory[at] = block;
    return block;
  }
}
