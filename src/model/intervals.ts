/**
 * How probes report single operations to code that examines slow ones. A probe gets its sink once, when it is made. If
 * the sink has a threshold, the probe calls it only for operations that reach it: fast operations cost one comparison,
 * and a probe without sink pays nothing. Timestamps are from the trace clock. Calls are ordered by the operations' ends,
 * as far as the watermark allows.
 */
import type { FunctionNames } from './function-names.ts';
import type { TimestampNs } from './time.ts';
import type { LATENCY_TRACERS } from './tracer.ts';

export interface IntervalSinks {
  syscalls?: SyscallSink | undefined;
  block?: BlockSink | undefined;
  tasks?: TaskSink | undefined;
  functions?: FunctionSink | undefined;
  timerlat?: TimerlatSink | undefined;
  osnoise?: OsnoiseSink | undefined;
  interrupts?: InterruptSink | undefined;
  latency?: LatencySink | undefined;
  markers?: MarkerSink | undefined;
}

export interface SyscallSink {
  /** Calls that take at least this long are reported. */
  readonly thresholdNs: number;
  /** Whether calls with this name should be reported. Called once per name. */
  wants(name: string): boolean;
  /**
   * Passes a function that returns when the task's current call began, or 0 if the task is in no wanted call. The answer
   * is valid until the task's next call.
   */
  watch(since: (pid: number) => TimestampNs): void;
  /**
   * `ret` below 0 is `-errno`; NaN if the result is unknown. `lostUntilNs`: end of the last loss of events during the
   * call, 0 or absent if there was none. After a loss it is only certain that the task has been in a call of this name since then.
   */
  ended(
    name: string,
    pid: number,
    cpu: number,
    startNs: TimestampNs,
    endNs: TimestampNs,
    ret: number,
    lostUntilNs?: TimestampNs,
  ): void;
}

export interface BlockSink {
  /** Called for every completed request. The receiver looks for those that a task waited for. */
  ended(request: BlockRequest): void;
}

/** One object, overwritten for every request. */
export interface BlockRequest {
  device: string;
  /** read, write, flush, discard, other */
  operation: string;
  bytes: number;
  sector: number;
  /** When the request was first inserted (or requeued) into the queue; 0 if it was issued at once. */
  insertNs: TimestampNs;
  /** When it was issued; the last time, if its driver requeued it. */
  issueNs: TimestampNs;
  completeNs: TimestampNs;
  /** Task that inserted or issued it. */
  pid: number;
  issueCpu: number;
  /** Task that issued it; 0 for an interrupt. */
  issuer: number;
  /** CPU that completed it. */
  cpu: number;
  /** Task that completed it; 0 for an interrupt. */
  completer: number;
  /** errno; 0 for success. */
  errno: number;
}

export interface TaskSink {
  /** Waits for a CPU of at least this length are reported, for every task. */
  readonly waitThresholdNs: number;
  /** Before a wait of at least this length is reported, `ran` is called for the CPU's current task, which still runs. */
  readonly culpritNs: number;
  /**
   * Whether all tasks are reported, so that a trace can say what the waker of a task did before. Else only tasks in a
   * watched call, and long waits.
   */
  readonly follows: boolean;
  /** When the task's current call began; 0 if nothing needs to know what happens during it. */
  inCall(pid: number): TimestampNs;
  /**
   * Passes a function to call for a task that does something although, according to the records, it is off the CPU: it
   * came back unseen, and is then reported.
   */
  watch(cameBack: (pid: number, cpu: number, nowNs: TimestampNs) => void): void;
  /** Passes a function that names what woke a task (`wokenBy`); undefined for a task, or if it is not known. */
  names(nameOf: (wokenBy: number) => string | undefined): void;
  /** A task (0: the idle task) had a CPU, usually until it left it. Its comm is the 16 bytes from word `commAt` on. */
  ran(
    cpu: number,
    pid: number,
    startNs: TimestampNs,
    endNs: TimestampNs,
    words: Int32Array,
    commAt: number,
  ): void;
  /** Events of a CPU between these times may be missing. */
  lost(cpu: number, fromNs: TimestampNs, untilNs: TimestampNs): void;
  /** A task that waits for a CPU is moved to the queue of another one. */
  moved(pid: number, cpu: number, atNs: TimestampNs): void;
  /** A task has a CPU again: see `follows`. `commAt` as in `ran`. */
  switchedIn(task: SwitchIn, words: Int32Array, commAt: number): void;
}

/** How a task came back on a CPU. One object, overwritten for every switch. */
export interface SwitchIn {
  pid: number;
  cpu: number;
  /** Whether it was in a watched call when it left its CPU. */
  isWatched: boolean;
  /** When it left its CPU; 0 if that was not recorded, or if it may have had a CPU during a loss since then. */
  outNs: TimestampNs;
  /** False: no event shows its return. Some virtual machines record none in the idle task that it replaced. */
  isSeen: boolean;
  /** When it became runnable: `outNs` if it was preempted; 0 if unknown. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  /** Bits of `prev_state` that mean it slept; 0 if it was still runnable. */
  state: number;
  /** Scheduling class in which its wait counts: index of TASK_CLASSES. */
  taskClass: number;
  /** CPU in whose run queue it first waited. */
  queueCpu: number;
  /** Code of what woke the task, as `wakeCode` makes it. */
  wokenBy: number;
  /** Task that woke it or, in an interrupt, that the interrupt came upon; 0 if not known. */
  waker: number;
  /** CPU of that task; below 0 if unknown. */
  wakerCpu: number;
}

export interface FunctionSink {
  /** Passes the names of reported addresses. Called once. */
  names(functions: FunctionNames): void;
  /** A call has returned, however long it took. The calls inside it were reported before. */
  returned(call: FunctionReturn): void;
  /** Returns up to this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}

/** One object, overwritten for every return. */
export interface FunctionReturn {
  /** Address of the function, as two 32-bit words. */
  low: number;
  high: number;
  /** Task that it ran in, or that was interrupted by it. */
  pid: number;
  cpu: number;
  /** Depth within the traced calls, whether traced by us or by somebody else. */
  depth: number;
  /** From the tracer's own clock, which is not the trace clock. */
  startNs: number;
  endNs: number;
  durationNs: number;
  /** The record's timestamp from the trace clock: slightly after `endNs`. */
  recordedNs: TimestampNs;
  inInterrupt: boolean;
}

export interface InterruptSink {
  readonly thresholdNs: number;
  /** `name`: the softirq's vector or the irq's handler. */
  ended(kind: 'irq' | 'softirq', name: string, cpu: number, startNs: TimestampNs, endNs: TimestampNs): void;
}

/** What took a CPU from a thread of timerlat or osnoise. One object, overwritten for each. */
export interface Noise {
  source: NoiseSource;
  cpu: number;
  /** From the tracer's own clock, which is not the trace clock. */
  startNs: number;
  /** Without the time that inner noise took the CPU from it. */
  durationNs: number;
  /** The record's timestamp from the trace clock: slightly after the end. */
  recordedNs: TimestampNs;
  /** Number of the irq, vector or thread; 0 if none. */
  id: number;
}

export const NOISE_SOURCES = ['hw', 'nmi', 'irq', 'softirq', 'thread'] as const;
export type NoiseSource = (typeof NOISE_SOURCES)[number];

export interface NoiseSink {
  /** The noise has ended. These bytes are its name, if it has one. */
  held(noise: Noise, bytes: Uint8Array, nameStart: number, nameEnd: number): void;
  /** Records of this CPU up to this timestamp may be missing. */
  lost(cpu: number, untilNs: TimestampNs): void;
}

export interface TimerlatSink extends NoiseSink {
  readonly thresholdNs: number;
  /**
   * A timerlat thread was late. Both latencies count from the timer's expected expiry; the interrupt's is NaN if its
   * record is missing.
   */
  activated(cpu: number, atNs: TimestampNs, irqLatencyNs: number, threadLatencyNs: number, pid: number): void;
}

export interface OsnoiseSink extends NoiseSink {
  /** Called at the end of every period, with or without noise. */
  period(cpu: number, endNs: TimestampNs, runtimeNs: number, noiseNs: number, longestNs: number): void;
}

export interface LatencySink {
  /** A latency tracer recorded a new maximum since it was last reset. `trace` is its text, or ''. */
  record(tracer: (typeof LATENCY_TRACERS)[number], latencyNs: number, trace: string): void;
}

/** An application's span, from a W3C `traceparent`. */
export interface MarkedSpan {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  isSampled: boolean;
}

export interface MarkerSink {
  /** Whether to read another marker of this thread; the number is limited. Call this first. */
  takes(pid: number, atNs: TimestampNs): boolean;
  /** A marker for a span has a wrong format. */
  malformed(): void;
  /** The thread has entered this span. */
  began(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  ended(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  exited(pid: number, atNs: TimestampNs): void;
  /** Markers up to this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}
