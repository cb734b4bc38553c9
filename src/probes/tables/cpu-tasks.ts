/**
 * Tracks which task runs on each CPU, and reports each turn of a task to a sink. A turn is the time from the switch to
 * a task until the CPU switches to another task.
 */
import type { TaskSink } from '../../model/intervals.ts';
import type { TimestampNs } from '../../model/time.ts';

export const COMM_WORDS = 4;

export class CpuTasks {
  readonly #sink: TaskSink;
  /** By CPU: start of the turn, or of its unreported part; 0 if unknown. */
  readonly #since: Float64Array;
  /** By CPU: pid of the running task (0: idle or unknown), and its comm. */
  readonly #running: Int32Array;
  readonly #comms: Int32Array;
  /** By CPU: end of the last loss of its events; 0 if none. */
  readonly #lostOn: Float64Array;
  #lostUntil: TimestampNs = 0;

  constructor(cpuCount: number, sink: TaskSink) {
    this.#sink = sink;
    this.#since = new Float64Array(cpuCount);
    this.#lostOn = new Float64Array(cpuCount);
    this.#running = new Int32Array(cpuCount);
    this.#comms = new Int32Array(cpuCount * COMM_WORDS);
  }

  /** A CPU switches away from task `pid`. The task's comm begins at `words[commAt]`. */
  leaves(cpu: number, pid: number, nowNs: TimestampNs, words: Int32Array, commAt: number): void {
    if (cpu >= this.#since.length || this.#running[cpu] !== pid) return;
    const sinceNs = this.#since[cpu];
    if (sinceNs >= this.#lostUntil && sinceNs !== 0) this.#sink.ran(cpu, pid, sinceNs, nowNs, words, commAt);
  }

  /** A CPU switches to task `pid` (0: the idle task). The task's comm begins at `words[commAt]`. */
  arrives(cpu: number, pid: number, nowNs: TimestampNs, words: Int32Array, commAt: number): void {
    if (cpu >= this.#since.length) return;
    this.#since[cpu] = nowNs;
    this.#running[cpu] = pid;
    if (pid === 0) return;
    const comm = cpu * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) this.#comms[comm + i] = words[commAt + i];
  }

  /** Reports the current turn up to `nowNs`. The rest will be a separate turn. */
  reportTurn(cpu: number, nowNs: TimestampNs): void {
    if (cpu < 0 || cpu >= this.#since.length) return;
    const sinceNs = this.#since[cpu];
    if (this.#running[cpu] === 0 || sinceNs === 0 || sinceNs < this.#lostUntil) return;
    this.#sink.ran(cpu, this.#running[cpu], sinceNs, nowNs, this.#comms, cpu * COMM_WORDS);
    this.#since[cpu] = nowNs;
  }

  /** Events of a CPU were lost. Turns on any CPU that began before the end of the loss will not be reported. */
  lost(cpu: number, untilNs: TimestampNs): void {
    if (untilNs > this.#lostUntil) this.#lostUntil = untilNs;
    if (cpu < this.#lostOn.length) this.#lostOn[cpu] = Math.max(this.#lostOn[cpu], untilNs);
    // The loss began after the last switch of any CPU, because events arrive in time order.
    this.#sink.lost(
      cpu,
      Math.min(
        this.#since.reduce((last, ns) => Math.max(last, ns), 0),
        untilNs,
      ),
      untilNs,
    );
  }

  /** Whether the agent received all events of a CPU since this time. */
  isWholeSince(cpu: number, sinceNs: TimestampNs): boolean {
    return cpu < this.#lostOn.length && this.#lostOn[cpu] <= sinceNs;
  }
}
