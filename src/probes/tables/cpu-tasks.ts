/** Tracks which task runs on each CPU, from sched_switch. Reports each turn on a CPU to the sink of task intervals. */
import type { TaskSink } from '../../model/intervals.ts';
import type { TimestampNs } from '../../model/time.ts';

export const COMM_WORDS = 4;

export class CpuTasks {
  readonly #sink: TaskSink;
  /** When the current task began to run on each CPU; 0 if unknown. */
  readonly #since: Float64Array;
  /** By CPU: pid of the running task (0: idle or unknown), and its comm. */
  readonly #running: Int32Array;
  readonly #comms: Int32Array;
  /** By CPU: when the last loss of events ended. */
  readonly #lostOn: Float64Array;
  #lostUntil: TimestampNs = 0;

  constructor(cpuCount: number, sink: TaskSink) {
    this.#sink = sink;
    this.#since = new Float64Array(cpuCount);
    this.#lostOn = new Float64Array(cpuCount);
    this.#running = new Int32Array(cpuCount);
    this.#comms = new Int32Array(cpuCount * COMM_WORDS);
  }

  /** Called when a task leaves a CPU. The task's comm is the 16 bytes from word `commAt`. */
  leaves(cpu: number, pid: number, nowNs: TimestampNs, words: Int32Array, commAt: number): void {
    if (cpu >= this.#since.length || this.#running[cpu] !== pid) return;
    const sinceNs = this.#since[cpu];
    if (sinceNs >= this.#lostUntil && sinceNs !== 0) this.#sink.ran(cpu, pid, sinceNs, nowNs, words, commAt);
  }

  /** Called when a task begins to run on a CPU. Pid 0 is the idle task. */
  arrives(cpu: number, pid: number, nowNs: TimestampNs, words: Int32Array, commAt: number): void {
    if (cpu >= this.#since.length) return;
    this.#since[cpu] = nowNs;
    this.#running[cpu] = pid;
    if (pid === 0) return;
    const comm = cpu * COMM_WORDS;
    for (let i = 0; i < COMM_WORDS; i++) this.#comms[comm + i] = words[commAt + i];
  }

  /** Reports the turn of a CPU's running task up to now. The rest of the turn is reported as another turn. */
  reportTurn(cpu: number, nowNs: TimestampNs): void {
    if (cpu < 0 || cpu >= this.#since.length) return;
    const sinceNs = this.#since[cpu];
    if (this.#running[cpu] === 0 || sinceNs === 0 || sinceNs < this.#lostUntil) return;
    this.#sink.ran(cpu, this.#running[cpu], sinceNs, nowNs, this.#comms, cpu * COMM_WORDS);
    this.#since[cpu] = nowNs;
  }

  /** Called when events of a CPU were lost. Drops all turns that began before the loss ended, and reports the loss. */
  lost(cpu: number, untilNs: TimestampNs): void {
    if (untilNs > this.#lostUntil) this.#lostUntil = untilNs;
    if (cpu < this.#lostOn.length) this.#lostOn[cpu] = Math.max(this.#lostOn[cpu], untilNs);
    // Events of all CPUs come in time order, so the loss began after the last switch on any CPU.
    this.#sink.lost(
      cpu,
      Math.min(
        this.#since.reduce((last, ns) => Math.max(last, ns), 0),
        untilNs,
      ),
      untilNs,
    );
  }

  /** Whether no event of a CPU was lost since this time. */
  isWholeSince(cpu: number, sinceNs: TimestampNs): boolean {
    return cpu < this.#lostOn.length && this.#lostOn[cpu] <= sinceNs;
  }
}
