import {
  FINE_BLOCK_BITS,
  FINE_BLOCK_SIZE,
  fineBucket,
  gridOf,
  type HistogramGrid,
} from '../model/histogram-grid.ts';
import type { FamilySnapshot, MetricSpec } from '../model/metric.ts';
import { grownFloats, grownWords } from './columns.ts';
import type { Family } from './family.ts';
import { labelsSince } from './series-labels.ts';
import { SeriesTable } from './series-table.ts';

/**
 * Histograms of durations in nanoseconds (or other whole numbers), one per slot, counted in the fine buckets of histogram-grid.ts. Buckets are
 * allocated in blocks of 16 on first use, because a series spans only a few octaves.
 */
export class HistogramFamily implements Family {
  readonly table: SeriesTable;
  readonly grid: HistogramGrid;
  #directory: Int32Array;
  #blocks: Float64Array;
  #sums: Float64Array;
  /** Block 0 stays empty: unused directory entries refer to it. */
  #usedBlocks = 1;
  readonly #freeBlocks: number[] = [];

  constructor(spec: MetricSpec) {
    this.table = new SeriesTable(spec);
    this.grid = gridOf(spec);
    this.#directory = new Int32Array(16 * this.grid.blocksPerSeries);
    this.#blocks = new Float64Array(64 * FINE_BLOCK_SIZE);
    this.#sums = new Float64Array(16);
  }

  /** Returns the slot for label values. Resolve once and keep it. */
  slot(values: readonly string[]): number {
    const slot = this.table.slot(values);
    if (slot >= this.#sums.length) {
      this.#sums = grownFloats(this.#sums, slot + 1);
      this.#directory = grownWords(this.#directory, this.#sums.length * this.grid.blocksPerSeries);
    }
    return slot;
  }

  /** Records one duration in nanoseconds. */
  record(slot: number, ns: number): void {
    const fine = fineBucket(this.grid, ns);
    const at = slot * this.grid.blocksPerSeries + (fine >> FINE_BLOCK_BITS);
    let block = this.#directory[at];
    if (block === 0) block = this.#allocate(at);
    this.#blocks[(block << FINE_BLOCK_BITS) + (fine & (FINE_BLOCK_SIZE - 1))] += 1;
    this.#sums[slot] += ns;
  }

  /** Drops all series whose label has this value. Their slots become invalid. */
  release(label: string, value: string): void {
    for (const slot of this.table.release(label, value)) {
      const first = slot * this.grid.blocksPerSeries;
      for (let at = first; at < first + this.grid.blocksPerSeries; at++) {
        const block = this.#directory[at];
        if (block === 0) continue;
        this.#blocks.fill(0, block << FINE_BLOCK_BITS, (block + 1) << FINE_BLOCK_BITS);
        this.#freeBlocks.push(block);
        this.#directory[at] = 0;
      }
      this.#sums[slot] = 0;
    }
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
        directory: this.#directory.slice(0, n * this.grid.blocksPerSeries),
        blocks: this.#blocks.slice(0, this.#usedBlocks << FINE_BLOCK_BITS),
        sumsNs: this.#sums.slice(0, n),
        counts,
      },
    };
  }

  /** Returns the number of values of a series. It sums the buckets, so that `record` needs one write less. */
  #count(slot: number): number {
    const first = slot * this.grid.blocksPerSeries;
    let count = 0;
    for (let at = first; at < first + this.grid.blocksPerSeries; at++) {
      const block = this.#directory[at] << FINE_BLOCK_BITS;
      if (block === 0) continue;
      for (let i = block; i < block + FINE_BLOCK_SIZE; i++) count += this.#blocks[i];
    }
    return count;
  }

  #allocate(at: number): number {
    const block = this.#freeBlocks.pop() ?? this.#usedBlocks++;
    if (this.#usedBlocks << FINE_BLOCK_BITS > this.#blocks.length) {
      this.#blocks = grownFloats(this.#blocks, this.#usedBlocks << FINE_BLOCK_BITS);
    }
    this.#directory[at] = block;
    return block;
  }
}
