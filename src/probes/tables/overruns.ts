/**
 * For each task, the kernel counts the calls that were nested too deeply to be recorded (`trace_overrun`). A full table
 * forgets the task that was added first.
 */
const CAPACITY = 4096;

export class Overruns {
  readonly #last = new Map<number, number>();

  /** Returns how much a task's count has grown since the last call; for a task not in the table, the whole count. */
  growth(pid: number, count: number): number {
    const last = this.#last.get(pid);
    if (last === count) return 0;
    if (last === undefined && this.#last.size >= CAPACITY) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    this.#last.set(pid, count);
    // A lower count means that a new task has the pid.
    return last === undefined || count < last ? count : count - last;
  }
}
