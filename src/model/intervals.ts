/**
 * How probes report single operations to the code that makes traces of slow ones. A probe gets its sink when it is
 * created. If the sink has a threshold, the probe calls the sink only for operations that reach the threshold. A fast
 * operation therefore costs one comparison, and a probe without a sink pays nothing. Timestamps are from the trace
 * clock. Calls come in the order in which the operations ended, except for late events (see decode/merge.ts).
 */
import type { DeclaredMetric } from './declared-metric.ts';
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
  operations?: OperationSink | undefined;
}

/** An operation of a task, as measured by a declared metric. */
export interface Operation {
  metric: DeclaredMetric;
  /** Values of the metric's labels. */
  values: readonly string[];
  pid: number;
  cpu: number;
  startNs: TimestampNs;
  endNs: TimestampNs;
}

export interface OperationSink {
  readonly thresholdNs: number;
  /** An operation took at least `thresholdNs`. */
  ended(operation: Operation): void;
}

export interface SyscallSink {
  /** The probe reports calls that take at least this long. */
  readonly thresholdNs: number;
  /** Whether the probe should report calls with this name. Called once per name. */
  wants(name: string): boolean;
  /**
   * The probe passes a function that returns the start time of the task's current call, or 0 if the task is in no call
   * that the sink wants. The result is valid until the task's next call.
   */
  watch(since: (pid: number) => TimestampNs): void;
  /**
   * `ret` below 0 is `-errno`; NaN if the result is unknown. `lostUntilNs`: end of the last loss of events during the
   * call; 0 or absent if there was none. The time before a loss may belong to an earlier call of the same name.
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
  /** Called for every completed request. The receiver selects the requests that a task waited for. */
  ended(request: BlockRequest): void;
}

/** A completed request. The probe overwrites one object for every request. */
export interface BlockRequest {
  device: string;
  /** `read`, `write`, `flush`, `discard` or `other` */
  operation: string;
  bytes: number;
  sector: number;
  /** When the request first entered the queue: inserted, or put back by the driver; 0 if it never was in the queue. */
  insertNs: TimestampNs;
  /** When the request was issued. If the driver put it back, the time of its last issue. */
  issueNs: TimestampNs;
  completeNs: TimestampNs;
  /** Task that put the request into the queue or issued it. */
  pid: number;
  issueCpu: number;
  /** Task that issued the request; 0 if an interrupt did. */
  issuer: number;
  /** CPU that completed the request. */
  cpu: number;
  /** Task that completed the request; 0 if an interrupt did. */
  completer: number;
  /** errno; 0 for success. */
  errno: number;
}

export interface TaskSink {
  /** The probe reports waits for a CPU that take at least this long, for every task. */
  readonly waitThresholdNs: number;
  /** Before the probe reports a wait of at least this length, it calls `ran` for the task that used the CPU. */
  readonly culpritNs: number;
  /**
   * True: the probe reports all tasks, so that a trace can show what the waker of a task did before. False: it reports
   * only tasks in a watched call, and long waits.
   */
  readonly follows: boolean;
  /** Returns the start of the task's current call; 0 if no trace needs the events during the call. */
  inCall(pid: number): TimestampNs;
  /**
   * The probe passes `cameBack`. The sink calls it when a task acts although the events so far show the task as not
   * running. The probe then reports that the task is running again.
   */
  watch(cameBack: (pid: number, cpu: number, nowNs: TimestampNs) => void): void;
  /**
   * The probe passes a function that names the interrupt, softirq or timer that woke a task. The function returns
   * undefined if another task woke the task, or if the waker is unknown.
   */
  names(nameOf: (wokenBy: number) => string | undefined): void;
  /** If the kernel has workqueue events, the probe passes a function that names a kernel function by its address. */
  works(nameOf: (low: number, high: number) => string | undefined): void;
  /** A kworker begins to run the function at this address, or has ended it if the address is 0. */
  worked(pid: number, atNs: TimestampNs, low: number, high: number): void;
  /** A task (0: the idle task) ran on a CPU, usually until it was switched out. Its comm is at word `commAt`. */
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
  /** A task that is waiting for a CPU moved to the run queue of another CPU. */
  moved(pid: number, cpu: number, atNs: TimestampNs): void;
  /** A task runs on a CPU again (see `follows`). `commAt`: as in `ran`. */
  switchedIn(task: SwitchIn, words: Int32Array, commAt: number): void;
}

/** How a task returned to a CPU. The probe overwrites one object for every switch. */
export interface SwitchIn {
  pid: number;
  cpu: number;
  /** Whether the task was in a watched call when it was switched out. */
  isWatched: boolean;
  /** When the task left its CPU; 0 if not recorded, or if the task may have run during a later loss of events. */
  outNs: TimestampNs;
  /** False if no event showed the switch, because the idle task of some virtual machines does not record it. */
  isSeen: boolean;
  /** When the task became runnable: `outNs` if it was preempted; 0 if unknown. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  /** The bits of `prev_state` that mean "asleep"; 0 if the task was still runnable. */
  state: number;
  /** Scheduling class of the task during the wait: an index of TASK_CLASSES. */
  taskClass: number;
  /** CPU whose run queue the task joined first. */
  queueCpu: number;
  /** Code of what woke the task, made by `wakeCode`. */
  wokenBy: number;
  /** Task that woke this task or, if an interrupt did, the task that was interrupted. 0 if unknown. */
  waker: number;
  /** CPU on which `waker` ran; negative if unknown. */
  wakerCpu: number;
  /** Flags of the kernel lock that the task waited for, as in LOCK_TYPES; below 0 if none was recorded. */
  lock: number;
}

export interface FunctionSink {
  /** The probe passes the names of the addresses that it reports. Called once. */
  names(functions: FunctionNames): void;
  /** Called for every return, however short the call was. The probe has already reported the calls inside this call. */
  returned(call: FunctionReturn): void;
  /** Function returns before this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}

/** A returned call. The probe overwrites one object for every return. */
export interface FunctionReturn {
  /** Address of the function, as two 32-bit words. */
  low: number;
  high: number;
  /** Task that called the function. If an interrupt called it: the task that was interrupted. */
  pid: number;
  cpu: number;
  /** Depth within the traced calls, including calls that another user traces. */
  depth: number;
  /** Time on the tracer's own clock, which is not the trace clock. */
  startNs: number;
  endNs: number;
  durationNs: number;
  /** The record's timestamp from the trace clock: slightly after `endNs`. */
  recordedNs: TimestampNs;
  inInterrupt: boolean;
}

export interface InterruptSink {
  readonly thresholdNs: number;
  /** `name`: the vector of a softirq, or the handler of an irq. */
  ended(kind: 'irq' | 'softirq', name: string, cpu: number, startNs: TimestampNs, endNs: TimestampNs): void;
}

/** An interruption of a timerlat or osnoise thread. The probe overwrites one object for every interruption. */
export interface Noise {
  source: NoiseSource;
  cpu: number;
  /** Time on the tracer's own clock, which is not the trace clock. */
  startNs: number;
  /** Duration without the time of inner interruptions. */
  durationNs: number;
  /** The record's timestamp on the trace clock: slightly after the end. */
  recordedNs: TimestampNs;
  /** Number of the irq, softirq vector or thread; 0 if it has none. */
  id: number;
}

export const NOISE_SOURCES = ['hw', 'nmi', 'irq', 'softirq', 'thread'] as const;
export type NoiseSource = (typeof NOISE_SOURCES)[number];

export interface NoiseSink {
  /** An interruption has ended. The bytes from `nameStart` to `nameEnd` are its name, or empty if it has no name. */
  held(noise: Noise, bytes: Uint8Array, nameStart: number, nameEnd: number): void;
  /** Records of this CPU before this timestamp may be missing. */
  lost(cpu: number, untilNs: TimestampNs): void;
}

export interface TimerlatSink extends NoiseSink {
  readonly thresholdNs: number;
  /**
   * A timerlat thread was late. Both latencies are relative to the time at which the timer should have fired. The
   * interrupt's latency is NaN if its record is missing.
   */
  activated(cpu: number, atNs: TimestampNs, irqLatencyNs: number, threadLatencyNs: number, pid: number): void;
}

export interface OsnoiseSink extends NoiseSink {
  /** Called at the end of every period, even if nothing interrupted the thread. */
  period(cpu: number, endNs: TimestampNs, runtimeNs: number, noiseNs: number, longestNs: number): void;
}

export interface LatencySink {
  /** A latency tracer recorded a new maximum since its last reset. `trace` is the tracer's text, or ''. */
  record(tracer: (typeof LATENCY_TRACERS)[number], latencyNs: number, trace: string): void;
}

/** A span of an application, taken from a W3C `traceparent`. */
export interface MarkedSpan {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  isSampled: boolean;
}

export interface MarkerSink {
  /** Counts a marker of this thread, and returns whether the limits allow the probe to read it. Call this first. */
  takes(pid: number, atNs: TimestampNs): boolean;
  /** A span marker has a wrong format. */
  malformed(): void;
  /** The thread has entered this span. */
  began(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  ended(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  exited(pid: number, atNs: TimestampNs): void;
  /** Markers before this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}
