/**
 * How probes report single operations to the code that makes traces of slow operations. When a probe is created, it
 * gets a *sink*: an object whose methods the probe calls. If the sink has a threshold, the probe reports only
 * operations that reach the threshold, so a fast operation costs one comparison. A *watched call* is a syscall for
 * which the agent may make a trace. Timestamps are from the trace clock. Probes report operations in the order in which
 * they ended, except for late events (see decode/merge.ts).
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
   * The probe calls this once, with a function that returns the start time of the task's current call. The function
   * returns 0 if the task is in no call, or in a call that the sink does not want. The result is valid until the task's
   * next call.
   */
  watch(since: (pid: number) => TimestampNs): void;
  /**
   * A call ended. `ret`: the return value; below 0: `-errno`; NaN: unknown. `lostUntilNs`: when the last loss of events
   * during the call ended; 0 or absent if no events were lost. The time before the loss may belong to an earlier call
   * of the same syscall.
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

/** A completed request. The probe reuses one object for all requests. */
export interface BlockRequest {
  device: string;
  /** `read`, `write`, `flush`, `discard` or `other` */
  operation: string;
  bytes: number;
  sector: number;
  /**
   * When the request was first put into the queue, by its insertion or by the driver after an issue; 0 if it never was
   * in the queue.
   */
  insertNs: TimestampNs;
  /** When the request was issued. If the request was issued several times: the last time. */
  issueNs: TimestampNs;
  completeNs: TimestampNs;
  /** Task that put the request into the queue; if the request was never queued, the task that issued it. */
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
  /** The probe reports waits for a CPU that are at least this long, for all tasks. */
  readonly waitThresholdNs: number;
  /** Before the probe reports a wait of at least this length, it calls `ran` for the task that used the CPU. */
  readonly culpritNs: number;
  /**
   * True: the probe reports all tasks, so that a trace can show what a task did before it woke another task. False: the
   * probe reports only tasks in a watched call, and long waits.
   */
  readonly follows: boolean;
  /** Returns the start time of the task's watched call; 0 if the task is in no watched call. */
  inCall(pid: number): TimestampNs;
  /**
   * The probe calls this once, with its function `cameBack`. The sink calls `cameBack` if an event shows that a task is
   * running, but earlier events showed that the task stopped running. The probe then reports that the task is running
   * again.
   */
  watch(cameBack: (pid: number, cpu: number, nowNs: TimestampNs) => void): void;
  /**
   * The probe calls this once, with a function that returns the name of what woke a task: an interrupt, softirq or
   * timer. `wokenBy` is a code from `wakeCode`. The function returns undefined if another task woke the task, or if the
   * waker is unknown.
   */
  names(nameOf: (wokenBy: number) => string | undefined): void;
  /**
   * If the kernel has workqueue events, the probe calls this once, with a function that returns the name of the kernel
   * function at an address (two 32-bit words).
   */
  works(nameOf: (low: number, high: number) => string | undefined): void;
  /** A kworker begins to run the work function at this address. Address 0: the work function has ended. */
  worked(pid: number, atNs: TimestampNs, low: number, high: number): void;
  /** A task (0: the idle task) ran on a CPU, usually until it was switched out. Its comm begins at `words[commAt]`. */
  ran(
    cpu: number,
    pid: number,
    startNs: TimestampNs,
    endNs: TimestampNs,
    words: Int32Array,
    commAt: number,
  ): void;
  /** Events of this CPU between these times may be missing. */
  lost(cpu: number, fromNs: TimestampNs, untilNs: TimestampNs): void;
  /** A task that waits for a CPU was moved to the run queue of this CPU. */
  moved(pid: number, cpu: number, atNs: TimestampNs): void;
  /** A task runs on a CPU again. `follows` determines which tasks the probe reports. `commAt`: as in `ran`. */
  switchedIn(task: SwitchIn, words: Int32Array, commAt: number): void;
}

/** How a task returned to a CPU. The probe reuses one object for all returns. */
export interface SwitchIn {
  pid: number;
  cpu: number;
  /** Whether the task was in a watched call when it was switched out. */
  isWatched: boolean;
  /**
   * When the task was switched out; 0 if no event shows this, or if the task may have run during a later loss of
   * events.
   */
  outNs: TimestampNs;
  /**
   * Whether an event shows the switch to the task. False if `cameBack` reported the task: some switches are not
   * recorded, for example from the idle task on some virtual machines.
   */
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
  /** What woke the task, as a code from `wakeCode`. */
  wokenBy: number;
  /** Task that woke this task. If an interrupt woke this task: the task that was interrupted. 0 if unknown. */
  waker: number;
  /** CPU on which `waker` ran; negative if unknown. */
  wakerCpu: number;
  /**
   * Flags of the kernel lock that the task waited for, as in LOCK_TYPES; negative if no event shows a wait for a lock.
   */
  lock: number;
}

export interface FunctionSink {
  /** The probe passes an object that looks up names of the addresses that it reports. Called once. */
  names(functions: FunctionNames): void;
  /** Called for every return of a function, even after a very short call. The probe reports inner calls first. */
  returned(call: FunctionReturn): void;
  /** Function returns before this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}

/** A function call that has returned. The probe reuses one object for all calls. */
export interface FunctionReturn {
  /** Address of the function, as two 32-bit words. */
  low: number;
  high: number;
  /** Task that called the function. If an interrupt called it: the task that was interrupted. */
  pid: number;
  cpu: number;
  /**
   * Call depth on the kernel's stack of traced calls: 0 for the outermost call. Calls that only another user of ftrace
   * traces also count.
   */
  depth: number;
  /** Time on the tracer's own clock, which is not the trace clock. */
  startNs: number;
  endNs: number;
  durationNs: number;
  /** Timestamp of the record on the trace clock: slightly after `endNs`. */
  recordedNs: TimestampNs;
  inInterrupt: boolean;
}

export interface InterruptSink {
  readonly thresholdNs: number;
  /** `name`: the vector of a softirq, or the handler of an irq. */
  ended(kind: 'irq' | 'softirq', name: string, cpu: number, startNs: TimestampNs, endNs: TimestampNs): void;
}

/** An interruption of a timerlat or osnoise thread. The probe reuses one object for all interruptions. */
export interface Noise {
  source: NoiseSource;
  cpu: number;
  /** Time on the tracer's own clock, which is not the trace clock. */
  startNs: number;
  /** Duration, without the time of interruptions that occurred inside this one. */
  durationNs: number;
  /** Timestamp of the record on the trace clock: slightly after the interruption ended. */
  recordedNs: TimestampNs;
  /** Number of the irq, softirq vector or thread; 0 if the source has no number. */
  id: number;
}

export const NOISE_SOURCES = ['hw', 'nmi', 'irq', 'softirq', 'thread'] as const;
export type NoiseSource = (typeof NOISE_SOURCES)[number];

export interface NoiseSink {
  /**
   * An interruption has ended. `bytes` contains the name of its source from `nameStart` up to `nameEnd`; the range is
   * empty if the source has no name.
   */
  held(noise: Noise, bytes: Uint8Array, nameStart: number, nameEnd: number): void;
  /** Records of this CPU before this timestamp may be missing. */
  lost(cpu: number, untilNs: TimestampNs): void;
}

export interface TimerlatSink extends NoiseSink {
  readonly thresholdNs: number;
  /**
   * A timerlat thread was late. Both latencies are relative to the time at which the timer should have fired.
   * `irqLatencyNs` is NaN if the record of the interrupt is missing.
   */
  activated(cpu: number, atNs: TimestampNs, irqLatencyNs: number, threadLatencyNs: number, pid: number): void;
}

export interface OsnoiseSink extends NoiseSink {
  /** Called at the end of every measurement period, even if nothing interrupted the thread. */
  period(cpu: number, endNs: TimestampNs, runtimeNs: number, noiseNs: number, longestNs: number): void;
}

export interface LatencySink {
  /**
   * A latency tracer recorded the longest latency since its last reset. `trace`: text of the tracer's `trace` file, or
   * ''.
   */
  record(tracer: (typeof LATENCY_TRACERS)[number], latencyNs: number, trace: string): void;
}

/** A span of an application, as named by the W3C `traceparent` in a marker. */
export interface MarkedSpan {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  isSampled: boolean;
}

export interface MarkerSink {
  /**
   * Counts a marker of this thread, and returns whether the rate limits allow the probe to read it. The probe must call
   * this before it reads the marker.
   */
  takes(pid: number, atNs: TimestampNs): boolean;
  /** The probe read a span marker with a wrong format. */
  malformed(): void;
  /** The thread began to work within this span. */
  began(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  ended(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  exited(pid: number, atNs: TimestampNs): void;
  /** Markers before this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}
