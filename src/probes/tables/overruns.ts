/**
 * For each task, the kernel counts the calls that were nested too deeply to be recorded (`trace_overrun`). This table
 * computes how much a task's count has grown. A full table forgets the task that was added first. If this task appears
 * again, the table returns the whole count as growth.
 */
const CAPACITY = 4096;

export class Overruns {
  readonly #last = new Map<number, number>();

  /**
   * Returns how much a task's count has grown since `growth` was last called for the task. For a new task, returns the
   * whole count.
   */
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
    // A lower count means that the kernel gave the pid to another task.
    return last === undefined || count < last ? count : count - last;
  }
}
