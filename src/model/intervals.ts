/**
 * How probes report single operations to the code that makes traces of slow operations: a probe calls the methods of a
 * *sink*. If a sink has a threshold, the probe reports only operations that reach it. A *watched call* is a syscall for
 * which the agent may make a trace. Operations are reported in the order in which they end, except for late events (see
 * decode/merge.ts).
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

/** An operation of a task, measured by a declared metric. */
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
  ended(operation: Operation): void;
}

export interface SyscallSink {
  /** The probe reports calls of at least this duration. */
  readonly thresholdNs: number;
  /** Whether to report calls with this name. Called once per name. */
  wants(name: string): boolean;
  /**
   * Called once. `since` returns the start time of the task's current call; 0 if the task is in no call, or in a call
   * that the sink does not want.
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
  /** Called for every completed request, whether or not a task waited for it. */
  ended(request: BlockRequest): void;
}

/** A completed request. The probe reuses one object for all requests. */
export interface BlockRequest {
  device: string;
  /** `read`, `write`, `flush`, `discard` or `other` */
  operation: string;
  bytes: number;
  sector: number;
  /** When the request was first queued, by its insertion or by the driver after an issue; 0 if never. */
  insertNs: TimestampNs;
  /** When the request was last issued. */
  issueNs: TimestampNs;
  completeNs: TimestampNs;
  /** Task that queued the request; if the request was never queued, the task that issued it. */
  pid: number;
  issueCpu: number;
  /** Task that issued the request; 0 for an interrupt. */
  issuer: number;
  /** CPU that completed the request. */
  cpu: number;
  /** Task that completed the request; 0 if an interrupt did. */
  completer: number;
  /** errno; 0 for success. */
  errno: number;
}

export interface TaskSink {
  /** The probe reports waits for a CPU of at least this length, for all tasks. */
  readonly waitThresholdNs: number;
  /** Before the probe reports a wait of at least this length, it calls `ran` for the task that used the CPU. */
  readonly culpritNs: number;
  /** Whether the probe reports all tasks. If not, the probe reports only tasks in a watched call, and long waits. */
  readonly follows: boolean;
  /** Start time of the task's watched call; 0 if there is none. */
  inCall(pid: number): TimestampNs;
  /**
   * Called once. The sink calls `cameBack` when an event shows that a switched-out task is running. The probe then
   * calls `switchedIn`.
   */
  watch(cameBack: (pid: number, cpu: number, nowNs: TimestampNs) => void): void;
  /**
   * Called once. `nameOf` returns the name of the interrupt, softirq or timer in a code from `wakeCode`; undefined if
   * the code contains none.
   */
  names(nameOf: (wokenBy: number) => string | undefined): void;
  /** Called once, if the kernel has workqueue events. `nameOf` returns the name of the function at an address. */
  works(nameOf: (low: number, high: number) => string | undefined): void;
  /** A kworker begins to run the work function at this address. Address 0: the work function has ended. */
  worked(pid: number, atNs: TimestampNs, low: number, high: number): void;
  /** A task (0: the idle task) ran on a CPU. Its comm begins at `words[commAt]`. */
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
  /** A waiting task was moved to the run queue of this CPU. */
  moved(pid: number, cpu: number, atNs: TimestampNs): void;
  /** A task runs again. `commAt`: as in `ran`. */
  switchedIn(task: SwitchIn, words: Int32Array, commAt: number): void;
}

/** How a task returned to a CPU. The probe reuses one object. */
export interface SwitchIn {
  pid: number;
  cpu: number;
  /** Whether the task was in a watched call when it was switched out. */
  isWatched: boolean;
  /** When the task was switched out; 0 if unknown, or if the task may have run during a later loss of events. */
  outNs: TimestampNs;
  /** Whether an event shows the switch to the task. False if `cameBack` reported the task. */
  isSeen: boolean;
  /** When the task became runnable: `outNs` if it was preempted; 0 if unknown. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  /** The bits of `prev_state` that mean "asleep"; 0 if the task was still runnable. */
  state: number;
  /** Scheduling class during the wait: an index of TASK_CLASSES. */
  taskClass: number;
  /** CPU whose run queue the task joined first. */
  queueCpu: number;
  /** What woke the task: a code from `wakeCode`. */
  wokenBy: number;
  /** Task that woke this task. If an interrupt woke this task: the task that was interrupted. 0 if unknown. */
  waker: number;
  /** CPU on which `waker` ran; negative if unknown. */
  wakerCpu: number;
  /** Flags of the kernel lock that the task waited for (see LOCK_TYPES); negative if no event shows such a wait. */
  lock: number;
}

export interface FunctionSink {
  /** Called once. `functions` names the addresses that the probe reports. */
  names(functions: FunctionNames): void;
  /** Called for every return, however short the call. Inner calls come first. */
  returned(call: FunctionReturn): void;
  /** Function returns before this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}

/** A function call that has returned. The probe reuses one object. */
export interface FunctionReturn {
  /** Address of the function, as two 32-bit words. */
  low: number;
  high: number;
  /** Task that called the function. If an interrupt called it: the task that was interrupted. */
  pid: number;
  cpu: number;
  /** Depth on the kernel's stack of traced calls, from 0. Calls traced for other users of ftrace count, too. */
  depth: number;
  /** On the tracer's own clock, not the trace clock. */
  startNs: number;
  endNs: number;
  durationNs: number;
  /** On the trace clock, slightly after `endNs`. */
  recordedNs: TimestampNs;
  inInterrupt: boolean;
}

export interface InterruptSink {
  readonly thresholdNs: number;
  /** `name`: the vector of a softirq, or the handler of an irq. */
  ended(kind: 'irq' | 'softirq', name: string, cpu: number, startNs: TimestampNs, endNs: TimestampNs): void;
}

/** An interruption of a timerlat or osnoise thread. The probe reuses one object. */
export interface Noise {
  source: NoiseSource;
  cpu: number;
  /** On the tracer's own clock, not the trace clock. */
  startNs: number;
  /** Duration without nested interruptions. */
  durationNs: number;
  /** On the trace clock, slightly after the end. */
  recordedNs: TimestampNs;
  /** Number of the irq, softirq vector or thread; 0 if there is none. */
  id: number;
}

export const NOISE_SOURCES = ['hw', 'nmi', 'irq', 'softirq', 'thread'] as const;
export type NoiseSource = (typeof NOISE_SOURCES)[number];

export interface NoiseSink {
  /** An interruption ended. `bytes` contains the name of its source from `nameStart` to `nameEnd`, if it has one. */
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
  /** A measurement period ended, with or without interruptions. */
  period(cpu: number, endNs: TimestampNs, runtimeNs: number, noiseNs: number, longestNs: number): void;
}

export interface LatencySink {
  /** A latency tracer has a new longest latency. `trace`: text of its `trace` file, or ''. */
  record(tracer: (typeof LATENCY_TRACERS)[number], latencyNs: number, trace: string): void;
}

/** A span of an application, from the W3C `traceparent` in a marker. */
export interface MarkedSpan {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  isSampled: boolean;
}

export interface MarkerSink {
  /** Must be called before each marker of this thread is read. Returns whether the rate limits allow the reading. */
  takes(pid: number, atNs: TimestampNs): boolean;
  /** A span marker has a wrong format. */
  malformed(): void;
  /** The thread began to work within this span. */
  began(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  ended(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  exited(pid: number, atNs: TimestampNs): void;
  /** Markers before this timestamp may be missing. */
  lost(untilNs: TimestampNs): void;
}
