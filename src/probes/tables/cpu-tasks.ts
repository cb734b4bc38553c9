/** Tracks the task on each CPU from sched_switch, and reports turns to the sink of task intervals. */
import type { TaskSink } from '../../model/intervals.ts';
import type { TimestampNs } from '../../model/time.ts';

export const COMM_WORDS = 4;

export class CpuTasks {
  readonly #sink: TaskSink;
  /** When the current task began to run on each CPU; 0 if unknown. */
  readonly #since: Float64Array;
  /** Pid of the task that runs on each CPU (0: idle or unknown), and its comm. */
  readonly #running: Int32Array;
  readonly #comms: Int32Array;
  /** End of the last loss on each CPU. */
  readonly #lostOn: Float64Array;
  #lostUntil: TimestampNs = 0;

  constructor(cpuCount: number, sink: TaskSink) {
    this.#sink = sink;
    this.#since = new Float64Array(cpuCount);
    this.#lostOn = new Float64Array(cpuCount);
    this.#running = new Int32Array(cpuCount);
    this.#comms = new Int32Array(cpuCount * COMM_WORDS);
  }

  /** A task leaves a CPU. Its comm is the 16 bytes from word `commAt`. */
  leaves(cpu: number, pid: number, nowNs: TimestampNs, words: Int32Array, commAt: number): void {
    if (cpu >= this.#since.length || this.#running[cpu] !== pid) return;
    const sinceNs = this.#since[cpu];
    if (sinceNs >= this.#lostUntil && sinceNs !== 0) this.#sink.ran(cpu, pid, sinceNs, nowNs, words, commAt);
  }

  /** A task begins to run on a CPU. Pid 0 is the idle task. */
  arrives(cpu: number, pid: number, nowNs: TimestampNs, words: Int32Array, commAt: number): void {
    if (cpu >= this.#since.length) return;
    this.#since[cpu] = nowNs;
    this.#running[cpu] = pid;
    if (pid === 0) return;
    const comm = cpu * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) this.#comms[comm + i] = words[commAt + i];
  }

  /** Reports the turn of a running task up to now. The rest of the turn counts as another turn. */
  reportTurn(cpu: number, nowNs: TimestampNs): void {
    if (cpu < 0 || cpu >= this.#since.length) return;
    const sinceNs = this.#since[cpu];
    if (this.#running[cpu] === 0 || sinceNs === 0 || sinceNs < this.#lostUntil) return;
    this.#sink.ran(cpu, this.#running[cpu], sinceNs, nowNs, this.#comms, cpu * COMM_WORDS);
    this.#since[cpu] = nowNs;
  }

  /** Events of a CPU were lost: drops turns that began before the loss. Reports the loss. */
  lost(cpu: number, untilNs: TimestampNs): void {
    if (untilNs > this.#lostUntil) this.#lostUntil = untilNs;
    if (cpu < this.#lostOn.length) this.#lostOn[cpu] = Math.max(this.#lostOn[cpu], untilNs);
    // Events come in time order, so nothing was lost before the last switch.
    this.#sink.lost(
      cpu,
      Math.min(
        this.#since.reduce((last, ns) => Math.max(last, ns), 0),
        untilNs,
      ),
      untilNs,
    );
  }

  /** Whether all events of a CPU since this time were recorded. */
  isWholeSince(cpu: number, sinceNs: TimestampNs): boolean {
    return cpu < this.#lostOn.length && this.#lostOn[cpu] <= sinceNs;
  }
}
