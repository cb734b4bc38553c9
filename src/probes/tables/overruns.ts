/**
 * Growth of a task's count of calls that nest too deep for the kernel to follow (`trace_overrun` of a task). Bounded: a
 * full table forgets the task that it has known longest, whose whole count then looks new.
 */
const CAPACITY = 4096;

export class Overruns {
  readonly #last = new Map<number, number>();

  /** Increase of a task's count (host pid) since the last call; the whole count for a new task. */
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
    // Lower than before: the kernel has given the pid to another task.
    return last === undefined || count < last ? count : count - last;
  }
}
