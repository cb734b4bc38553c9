/**
 * What probes tell of single operations, for those who look closer at the slow ones. A probe asks for its sink once,
 * when it is made. Where the sink has a threshold, the probe calls it only for operations that reach it: without a sink it
 * costs nothing, and fast operations cost one comparison. Stamps are those of the trace clock. Calls come in the order of ends, as far
 * as the watermark can tell.
 */
import type { FunctionNames } from './function-names.ts';
import type { TimestampNs } from './time.ts';
import type { LATENCY_TRACERS } from './tracer.ts';

export interface IntervalSinks {
  syscalls?: SyscallSink;
  block?: BlockSink;
  tasks?: TaskSink;
  functions?: FunctionSink;
  timerlat?: TimerlatSink;
  osnoise?: OsnoiseSink;
  interrupts?: InterruptSink;
  latency?: LatencySink;
  markers?: MarkerSink;
}

export interface SyscallSink {
  /** Calls that take so long are told of. */
  readonly thresholdNs: number;
  /** Whether a call by this name is one to be told of; asked once a name. */
  wants(name: string): boolean;
  /**
   * Hands over how to ask when the call that a task is in began: 0 for tasks in none that is wanted. Answers until the
   * task's next call.
   */
  watch(since: (pid: number) => TimestampNs): void;
  /** `ret` below 0: `-errno`; NaN where what it returned is not known. */
  ended(name: string, pid: number, cpu: number, startNs: TimestampNs, endNs: TimestampNs, ret: number): void;
}

export interface BlockSink {
  /** Told of every request that is complete: others look for those that a task waited for. */
  ended(request: BlockRequest): void;
}

/** One object, overwritten for every request. */
export interface BlockRequest {
  device: string;
  /** read, write, flush, discard, other */
  operation: string;
  bytes: number;
  sector: number;
  /** When it was put into the queue, or put back, for the first time; 0: it was issued at once. */
  insertNs: TimestampNs;
  /** When it was issued, for the last time where its driver put it back. */
  issueNs: TimestampNs;
  completeNs: TimestampNs;
  /** Who put it into the queue, or issued it. */
  pid: number;
  issueCpu: number;
  /** Where it was completed. */
  cpu: number;
  /** Task that completed it; 0: an interrupt. */
  completer: number;
  /** errno, 0 for none. */
  errno: number;
}

export interface TaskSink {
  /** Waits for a CPU that take so long are told of, whoever waits. */
  readonly waitThresholdNs: number;
  /** Before it is told of a wait that took so long, it is told who ran on that CPU until now, though the turn has not ended. */
  readonly culpritNs: number;
  /** When the call that a task is in began; 0: nobody wants to know what it goes through. */
  inCall(pid: number): TimestampNs;
  /**
   * Hands over what is to be called for a task that has done something: where it is off the CPU by all that was recorded,
   * it has come back unseen, and is told of now.
   */
  watch(cameBack: (pid: number, cpu: number, nowNs: TimestampNs) => void): void;
  /** A task had a CPU, as a rule until it left it. Its comm: 16 bytes from word `commAt` on. */
  ran(
    cpu: number,
    pid: number,
    startNs: TimestampNs,
    endNs: TimestampNs,
    words: Int32Array,
    commAt: number,
  ): void;
  /** A task that is in a call, or has waited for long, has a CPU again; its comm as above. */
  switchedIn(task: SwitchIn, words: Int32Array, commAt: number): void;
}

/** How a task came back on a CPU. One object, overwritten for every switch. */
export interface SwitchIn {
  pid: number;
  cpu: number;
  /** When it left its CPU; 0: in no call that is watched, or before we looked. */
  outNs: TimestampNs;
  /** False: no event tells of its return. Some virtual machines record none in the idle task that it took over from. */
  isSeen: boolean;
  /** When it could run again: `outNs` where it was preempted; 0: not known. */
  runnableNs: TimestampNs;
  inNs: TimestampNs;
  /** Bits of `prev_state` that say it slept, 0 where it could have gone on. */
  state: number;
  /** CPU whose turn it waited for at first. */
  queueCpu: number;
  /** Task that woke it from its sleep; 0: an interrupt, or not known. */
  waker: number;
  /** Where that was; below 0: not known. */
  wakerCpu: number;
  /** When that task had been woken itself, during the sleep; 0: it had not. */
  wakerWokenNs: TimestampNs;
  /** By whom, and where; 0: an interrupt. */
  wakerWaker: number;
  wakerWokenCpu: number;
}

export interface FunctionSink {
  /** Names of the addresses it is told of. Handed over once. */
  names(functions: FunctionNames): void;
  /** A call has returned, however long it took. Calls it made itself were told of before. */
  returned(call: FunctionReturn): void;
  /** Returns up to this stamp may be missing. */
  lost(untilNs: TimestampNs): void;
}

/** One object, overwritten for every return. */
export interface FunctionReturn {
  /** Address of the function, in halves. */
  low: number;
  high: number;
  /** Task it ran in, or that an interrupt ran on top of. */
  pid: number;
  cpu: number;
  /** Calls around it that the kernel traces, for us or for others. */
  depth: number;
  /** By a clock of the tracer's own, which is not the trace clock. */
  startNs: number;
  endNs: number;
  durationNs: number;
  /** Stamp of the record, by the trace clock: a moment after `endNs`. */
  recordedNs: TimestampNs;
  inInterrupt: boolean;
}

export interface InterruptSink {
  readonly thresholdNs: number;
  /** `name`: of the softirq's vector or the irq's handler. */
  ended(kind: 'irq' | 'softirq', name: string, cpu: number, startNs: TimestampNs, endNs: TimestampNs): void;
}

/** What took a CPU from a thread of timerlat or osnoise. One object, overwritten for each. */
export interface Noise {
  source: NoiseSource;
  cpu: number;
  /** By a clock of the tracer's own, which is not the trace clock. */
  startNs: number;
  /** Without what took the CPU from it in turn. */
  durationNs: number;
  /** Stamp of the record, by the trace clock: a moment after it ended. */
  recordedNs: TimestampNs;
  /** Of the irq, the softirq's vector, or the thread; 0: none. */
  id: number;
}

export const NOISE_SOURCES = ['hw', 'nmi', 'irq', 'softirq', 'thread'] as const;
export type NoiseSource = (typeof NOISE_SOURCES)[number];

export interface NoiseSink {
  /** It has ended. Its name, where it has one: these bytes. */
  held(noise: Noise, bytes: Uint8Array, nameStart: number, nameEnd: number): void;
  /** What a CPU recorded up to this stamp may be missing. */
  lost(cpu: number, untilNs: TimestampNs): void;
}

export interface TimerlatSink extends NoiseSink {
  readonly thresholdNs: number;
  /**
   * An activation's thread has come late: latencies of both contexts, counted from when the timer should have fired.
   * The interrupt's is NaN where its record is missing.
   */
  activated(cpu: number, atNs: TimestampNs, irqLatencyNs: number, threadLatencyNs: number, pid: number): void;
}

export interface OsnoiseSink extends NoiseSink {
  /** A period has ended, whatever its noise. */
  period(cpu: number, endNs: TimestampNs, runtimeNs: number, noiseNs: number, longestNs: number): void;
}

export interface LatencySink {
  /** A latency tracer has met one worse than any since it was last started anew; with its trace, '' for none. */
  record(tracer: (typeof LATENCY_TRACERS)[number], latencyNs: number, trace: string): void;
}

/** A span of an application, as its W3C `traceparent` names it. */
export interface MarkedSpan {
  /** 32 hex digits. */
  traceId: string;
  /** 16 hex digits. */
  spanId: string;
  isSampled: boolean;
}

export interface MarkerSink {
  /** Whether one more marker of this thread is looked at: there is a bound. Asked first. */
  takes(pid: number, atNs: TimestampNs): boolean;
  /** A marker that names a span, and not as it should. */
  malformed(): void;
  /** The thread says that it is in this span from now on. */
  began(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  ended(pid: number, atNs: TimestampNs, span: MarkedSpan): void;
  exited(pid: number, atNs: TimestampNs): void;
  /** Markers up to this stamp may be missing. */
  lost(untilNs: TimestampNs): void;
}
