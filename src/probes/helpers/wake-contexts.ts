/**
 * Tracks which interrupt handler, softirq or timer function is running on each CPU, so that a wake-up in an interrupt
 * has a cause.
 */
import {
  BY_INTERRUPT,
  BY_IRQ,
  BY_RAISED_SOFTIRQ,
  BY_SOFTIRQ,
  BY_TASK,
  BY_TIMER,
  wakeCode,
} from '../../model/wake-codes.ts';
import { IN_HARD_INTERRUPT, IN_INTERRUPT, IN_NMI } from '../names/trace-flags.ts';

/** All softirq vectors have numbers below this. */
const VECTORS = 16;
const MIXED = -1;

export class WakeContexts {
  readonly #cpuCount: number;
  /** Number of the running irq handler, plus 1; 0 if none. */
  readonly #irqs: Int32Array;
  /** Running softirq vector, plus 1; 0 if none. */
  readonly #softirqs: Int32Array;
  /** The task that raised the running softirq, if only one task did; else 0 or negative. */
  readonly #raisers: Int32Array;
  /** By CPU and vector: the only task that raised the softirq; 0: not pending; negative: an interrupt raised it too. */
  readonly #pending: Int32Array;
  /** Whether a timer function is running in an interrupt, or in a softirq. */
  readonly #hardTimers: Uint8Array;
  readonly #softTimers: Uint8Array;

  constructor(cpuCount: number) {
    this.#cpuCount = cpuCount;
    this.#irqs = new Int32Array(cpuCount);
    this.#softirqs = new Int32Array(cpuCount);
    this.#raisers = new Int32Array(cpuCount);
    this.#pending = new Int32Array(cpuCount * VECTORS);
    this.#hardTimers = new Uint8Array(cpuCount);
    this.#softTimers = new Uint8Array(cpuCount);
  }

  /** Code of what wakes a task on this CPU, from the event's flags and the running task. */
  code(cpu: number, flags: number, pid: number): number {
    if ((flags & IN_INTERRUPT) === 0) return BY_TASK;
    if (cpu >= this.#cpuCount || (flags & IN_NMI) !== 0) return BY_INTERRUPT;
    if ((flags & IN_HARD_INTERRUPT) !== 0) {
      if (this.#hardTimers[cpu] !== 0) return BY_TIMER;
      return this.#irqs[cpu] === 0 ? BY_INTERRUPT : wakeCode(BY_IRQ, this.#irqs[cpu] - 1);
    }
    if (this.#softTimers[cpu] !== 0) return BY_TIMER;
    const vector = this.#softirqs[cpu] - 1;
    if (vector < 0) return BY_INTERRUPT;
    return wakeCode(this.#raisers[cpu] === pid ? BY_RAISED_SOFTIRQ : BY_SOFTIRQ, vector);
  }

  irqBegins(cpu: number, handler: number): void {
    if (cpu < this.#cpuCount) this.#irqs[cpu] = handler + 1;
  }

  irqEnds(cpu: number): void {
    if (cpu < this.#cpuCount) this.#irqs[cpu] = 0;
  }

  softirqRaised(cpu: number, vector: number, flags: number, pid: number): void {
    if (cpu >= this.#cpuCount || vector >= VECTORS) return;
    const at = cpu * VECTORS + vector;
    const isOnly = (flags & IN_INTERRUPT) === 0 && (this.#pending[at] === 0 || this.#pending[at] === pid);
    this.#pending[at] = isOnly ? pid : MIXED;
  }

  softirqBegins(cpu: number, vector: number): void {
    if (cpu >= this.#cpuCount || vector >= VECTORS) return;
    const at = cpu * VECTORS + vector;
    this.#softirqs[cpu] = vector + 1;
    this.#raisers[cpu] = this.#pending[at];
    this.#pending[at] = 0;
  }

  softirqEnds(cpu: number): void {
    if (cpu < this.#cpuCount) this.#softirqs[cpu] = 0;
  }

  timer(cpu: number, flags: number, runs: number): void {
    if (cpu >= this.#cpuCount) return;
    if ((flags & IN_HARD_INTERRUPT) !== 0) this.#hardTimers[cpu] = runs;
    else this.#softTimers[cpu] = runs;
  }

  /** Events of a CPU were lost, so it is unknown what is running there. */
  lost(cpu: number): void {
    if (cpu >= this.#cpuCount) return;
    for (const state of [this.#irqs, this.#softirqs, this.#raisers]) state[cpu] = 0;
    this.#pending.fill(0, cpu * VECTORS, (cpu + 1) * VECTORS);
    this.#hardTimers[cpu] = 0;
    this.#softTimers[cpu] = 0;
  }
}
