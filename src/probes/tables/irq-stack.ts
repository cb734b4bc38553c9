/** Stacks of running interrupt handlers, one per CPU. A line is an interrupt number; a row is the number of a name. */
import type { TimestampNs } from '../../model/time.ts';

const DEPTH = 8;

export class IrqStacks {
  readonly #depth: Uint8Array;
  readonly #line: Int32Array;
  readonly #row: Int32Array;
  readonly #startedAt: Float64Array;
  /** Row of the entry that the last `pop` returned. */
  poppedRow = 0;
  /** Number of entries above the entry that the last `pop` returned. Their end events are missing. */
  skipped = 0;

  constructor(cpuCount: number) {
    this.#depth = new Uint8Array(cpuCount);
    this.#line = new Int32Array(cpuCount * DEPTH);
    this.#row = new Int32Array(cpuCount * DEPTH);
    this.#startedAt = new Float64Array(cpuCount * DEPTH);
  }

  depth(cpu: number): number {
    return this.#depth[cpu];
  }

  /** Adds a handler to the stack of a CPU. Returns false if the stack was full and lost its lowest entry. */
  push(cpu: number, line: number, row: number, now: TimestampNs): boolean {
    const first = cpu * DEPTH;
    const room = this.#depth[cpu] < DEPTH;
    if (!room) {
      this.#line.copyWithin(first, first + 1, first + DEPTH);
      this.#row.copyWithin(first, first + 1, first + DEPTH);
      this.#startedAt.copyWithin(first, first + 1, first + DEPTH);
      this.#depth[cpu]--;
    }
    const at = first + this.#depth[cpu]++;
    this.#line[at] = line;
    this.#row[at] = row;
    this.#startedAt[at] = now;
    return room;
  }

  /** Removes the topmost entry of a line and all above it. Returns the handler's start time; 0 if there is no entry. */
  pop(cpu: number, line: number): TimestampNs {
    this.skipped = 0;
    for (let i = this.#depth[cpu] - 1; i >= 0; i--) {
      const at = cpu * DEPTH + i;
      if (this.#line[at] !== line) continue;
      this.skipped = this.#depth[cpu] - 1 - i;
      this.#depth[cpu] = i;
      this.poppedRow = this.#row[at];
      return this.#startedAt[at];
    }
    return 0;
  }

  clear(cpu: number): void {
    this.#depth[cpu] = 0;
  }
}
