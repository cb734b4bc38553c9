/** Tracks which interrupt handler, softirq or timer function runs on each CPU, to find out what woke a task. */
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

/** Kernels have ten softirq vectors. */
const VECTORS = 16;
const MIXED = -1;

export class WakeContexts {
  readonly #cpuCount: number;
  /** By CPU: row of the running handler in `HandlerNames`, plus 1; 0 if none runs. */
  readonly #irqs: Int32Array;
  /** By CPU: vector of the running softirq, plus 1; 0 if none runs. */
  readonly #softirqs: Int32Array;
  /** By CPU: value of `#pending` when the running softirq began. */
  readonly #raisers: Int32Array;
  /**
   * By CPU and vector: pid of the only task that raised the softirq. `MIXED` if an interrupt or several tasks raised
   * it. 0 if it is not pending.
   */
  readonly #pending: Int32Array;
  /** By CPU: 1 while a timer function runs in a hard interrupt, or in a softirq. */
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

  /** Returns the wake code (wake-codes.ts) of an event with these `common_flags` and `common_pid`. */
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

  /** Forgets what runs on a CPU, because events were lost. */
  lost(cpu: number): void {
    if (cpu >= this.#cpuCount) return;
    for (const state of [this.#irqs, this.#softirqs, this.#raisers]) state[cpu] = 0;
    this.#pending.fill(0, cpu * VECTORS, (cpu + 1) * VECTORS);
    this.#hardTimers[cpu] = 0;
    this.#softTimers[cpu] = 0;
  }
}
