/**
 * Computes the growth of a task's count of calls that were nested too deeply to be recorded. The count is the
 * kernel's `trace_overrun`. A full table forgets the task that was added first. If this task appears again,
 * its whole count is returned as growth.
 */
const CAPACITY = 4096;

export class Overruns {
  readonly #last = new Map<number, number>();

  /** Returns the growth of a task's count since the previous call; for a new task, the whole count. */
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
