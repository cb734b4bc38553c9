/**
 * By how much a count that the kernel keeps for each task has grown since it was last seen: calls that nest too deep
 * to be followed (`trace_overrun` of a task). Bounded: who was seen first is forgotten first, and counts anew then.
 */
const CAPACITY = 4096;

export class Overruns {
  readonly #last = new Map<number, number>();

  /** What is new in the count of a task (host pid); all of it when the task was not seen before. */
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
    // Less than before: the kernel has given the number to another task.
    return last === undefined || count < last ? count : count - last;
  }
}
