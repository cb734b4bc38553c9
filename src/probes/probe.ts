/** Interfaces between the agent and the probes. A probe reads kernel events and records metrics. */
import type { z } from 'zod';
import type { ProbeDefaults, SchemaKit } from '../config/units.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { Containers } from '../model/containers.ts';
import type { EventFormat } from '../model/format.ts';
import type { FunctionNames } from '../model/function-names.ts';
import type { IntervalSinks } from '../model/intervals.ts';
import type { KernelCount, KernelCountRequest } from '../model/kernel-count.ts';
import type { BytesReader, EventHandler, IntReader } from '../model/record.ts';
import type { TaskClasses } from '../model/task-classes.ts';
import type { TimestampNs } from '../model/time.ts';
import type { TracerRequest } from '../model/tracer.ts';

/** An event that a probe needs. */
export interface EventNeed {
  /** `system:name` */
  event: string;
  /** Fields that the probe reads. If the event lacks one of them, the event counts as missing. */
  fields: readonly string[];
  /**
   * Fields that contain the address of a kernel function. If function names are not available, the event counts as
   * missing. Only a probe that declares addresses gets `ProbeContext.functions`.
   */
  addresses?: readonly string[];
  /**
   * If undefined, the probe cannot run without the event. Otherwise, the event is optional, and this text says what the
   * agent does not measure without it, such as `migrations are not counted`. '': the agent does not report that the
   * event is missing.
   */
  without?: string | undefined;
}

/** A list of names or globs from the config of a probe, and the names that exist. */
export interface NameList {
  /** Key of the list in the probe's section of the config. */
  key: string;
  globs: readonly string[];
  /** Singular noun for what the names denote, such as `event`. */
  kind: string;
  /** All existing names. Undefined if the kernel does not list them. */
  offered: readonly string[] | undefined;
}

/** Events and functions of the kernel. Some probes choose their events from these lists. */
export interface KernelOffer {
  events(): readonly string[];
  machine: string;
  /**
   * Returns the names of the functions that the kernel can trace; undefined if the kernel does not list them. The
   * method is absent if the agent cannot list functions.
   */
  functions?(): readonly string[] | undefined;
}

/** Config keys that every probe has, after the schema has filled in the defaults. */
export interface CommonOptions extends ProbeDefaults {
  /** For probes about tasks: whether the series have container labels. */
  per_container?: boolean;
  /** If true, the agent never suspends the probe, even if it exceeds its CPU budget. */
  essential?: boolean;
}

/** Facts about the machine, from the host or from a recording. */
export interface HostFacts {
  /** Returns the name of a syscall; undefined if the syscall table does not contain the number. */
  syscallName(id: number): string | undefined;
  /** Returns the numbers in the syscall table, ascending. Empty if the table is unknown. */
  syscallIds(): readonly number[];
  /** Returns the NAME of a syscall in `syscalls:sys_enter_NAME`. For example, returns `newfstat` for `fstat`. */
  syscallEventName(name: string): string;
  /** Returns the name of an errno, such as `ENOENT` for 2; undefined for numbers without a name. */
  errnoName(errno: number): string | undefined;
  /** Returns the names of the handlers of an interrupt; undefined if unknown. */
  irqName(irq: number): string | undefined;
  /** Returns the current name of a task (host pid); undefined if the task has ended or is unknown. */
  taskName(pid: number): string | undefined;
  /** Returns the length of the kernel's jiffy in nanoseconds; undefined if unknown. */
  jiffyNs(): number | undefined;
  /**
   * Returns the name of a block device, such as `nvme0n1`; `MAJOR:MINOR` if unknown. `dev` is the kernel's dev_t: the
   * major number shifted left by 20 bits, plus the minor number.
   */
  blockDeviceName(dev: number): string;
  /** Returns the names of all disks; undefined if the agent cannot list them. */
  blockDeviceNames(): readonly string[] | undefined;
  /** Whether a block device still exists. True if unknown. */
  blockDeviceExists(dev: number): boolean;
  /** Looks up the scheduling classes of tasks. Absent in recordings. */
  taskClasses?: TaskClasses;
  /** Maps tasks to containers. Absent if no probe needs containers, or if the agent cannot find containers. */
  containers?: Containers | undefined;
}

/** Argument of a probe's `create`. */
export interface ProbeContext {
  metrics: MetricStore;
  host: HostFacts;
  /** Highest possible CPU number + 1. */
  cpuCount: number;
  /** Numbers of the online CPUs. Often fewer than `cpuCount`. */
  onlineCpus: readonly number[];
  /** Length in milliseconds of the sliding window over which gauges show a maximum. */
  maxWindowMs: number;
  /**
   * Names of the functions at the addresses in events. The getter throws an `Error` if no need of the probe declares
   * `addresses`, or if function names are not available.
   */
  readonly functions: FunctionNames;
  /** Sinks: objects to which the probe reports single operations, for traces. */
  intervals: IntervalSinks;
  /** Events that the probe needs and that are available, in the order of `needs`. */
  events: readonly string[];
  /** Returns the format of an event that the probe needs; undefined if the event is optional and missing. */
  format(event: string): EventFormat | undefined;
  int(event: string, field: string): IntReader;
  /**
   * Returns the offset of the low 32 bits of an integer field, in 32-bit words from the start of the payload. Frequent
   * handlers read `record.words[(record.offset >> 2) + word]` directly, because this is faster than calling an
   * `IntReader`.
   */
  word(event: string, field: string): number;
  bytes(event: string, field: string): BytesReader;
  /** Makes the kernel count an event. Throws an `Error` if the kernel cannot count it. Absent in recordings. */
  countInKernel?: ((request: KernelCountRequest) => KernelCount) | undefined;
  /** Whether a thread (host pid) is one of the agent's own. */
  isSelf(pid: number): boolean;
  /** Counts an event that the probe dropped because one of the agent's own threads caused it. */
  ignoreSelf(): void;
  /**
   * Returns a function that adds `count` (default: 1) to the series of `ftrace_exporter_unmatched_total` with this
   * reason. Call `unmatched` once per reason, when the probe is created.
   */
  unmatched(reason: UnmatchedReason): (count?: number) => void;
}

/**
 * Why an operation was not measured. `no_start`: the operation began before the agent, or the kernel emitted no start
 * event. `no_end`: the end event is missing. `lost`: the kernel lost events during the operation. `late`: the events
 * were out of order, so the measured time was negative. `exited`: the task exited during the operation. `evicted`: the
 * probe's table of operations was full, or the operation was too old. `too_deep`: too many nested calls. `suspended`:
 * the agent suspended the probe during the operation, to keep its CPU budget.
 */
export type UnmatchedReason =
  | 'no_start'
  | 'no_end'
  | 'lost'
  | 'late'
  | 'exited'
  | 'evicted'
  | 'too_deep'
  | 'suspended';

/** A running probe. */
export interface Probe {
  /** Handlers by event. Records come in time order, except for late events (see decode/merge.ts). */
  handlers: Readonly<Record<string, EventHandler>>;
  /** Events that the kernel counts for the probe. They have no handlers. */
  counted?: readonly string[] | undefined;
  /**
   * The agent calls this after events of `cpu` were lost, before it passes a later event of this CPU. `untilNs`: time
   * of the first event after the loss. The probe must drop operations that began before `untilNs`. If operations can
   * move between CPUs, this includes operations on other CPUs.
   */
  onLoss?: ((cpu: number, untilNs: TimestampNs) => void) | undefined;
  /** Filters in the kernel's syntax, by event. The probe needs only records that match the filter. */
  filters?: Readonly<Record<string, string>>;
  /** The agent calls this about once a second, for work that is too slow for the handlers. */
  sweep?(): void;
  /**
   * Only for latency tracers. The agent calls this for each new maximum. `trace`: text in which the kernel describes
   * the latency; '' if the agent has no text.
   */
  onLatency?(latencyNs: number, trace: string): void;
}

/** Why two probes cannot both be enabled. */
export interface Conflict {
  /** Name of the other probe. */
  with: string;
  why: string;
}

/** How a probe reports single operations to sinks, for traces. */
export interface Reporting<Options> {
  /**
   * Returns whether the probe with these options reports all operations that the sinks need. If false, the agent also
   * runs a second instance of the probe, the helper. The helper reports operations to sinks, and its metrics are not
   * exported. If `reportsAll` is absent, the probe reports all operations.
   */
  reportsAll?(options: Options, sinks: IntervalSinks, host: HostFacts): boolean;
  /**
   * Returns the helper's options. `include`: globs of the operations that get traces; undefined if the config contains
   * no globs.
   */
  helper?(include: readonly string[] | undefined): Omit<Options, keyof CommonOptions>;
  /**
   * Returns a function that checks whether the probe's histogram counts operations with this value of the first label.
   * If `counts` is absent, the histogram counts all operations.
   */
  counts?(options: Options): (value: string) => boolean;
  /** True if the histogram has no container labels, even with `per_container`. */
  withoutContainers?: boolean;
}

/** A kind of probe. A probe answers one question about the kernel. */
export interface ProbeModule<Options extends CommonOptions = CommonOptions> {
  name: string;
  /** One sentence that says what the probe measures. README.md shows it. */
  help: string;
  /** Whether the probe is enabled if the config does not mention it. */
  byDefault: boolean;
  /**
   * Expected event rate. `low`: at most about one event per task switch. `high`: an event for every syscall, timer or
   * function call, so the kernel's buffers must be larger.
   */
  rate: 'low' | 'high';
  /** Schema of the probe's config section. It fills in all defaults and rejects unknown keys. */
  schema(kit: SchemaKit): z.ZodType<Options>;
  /** Defaults that apply only to recordings, for config keys that choose what to trace. */
  inRecordings?: Readonly<Record<string, unknown>>;
  /**
   * What the probe does for traces of its operations, such as `chooses the CPUs`. An error message ends with this text
   * if the config enables these traces but not the probe. Absent if the traces do not need the probe.
   */
  choosesForKind?: string;
  /**
   * Returns the events that the probe needs; an empty list if these options select no event of this kernel. With
   * `intervals`, the list includes the events that are needed only to report operations.
   */
  needs(
    options: Options,
    kernel: KernelOffer,
    host: HostFacts,
    intervals?: IntervalSinks,
  ): readonly EventNeed[];
  /** Returns the names and globs in the options. The agent reports names and globs that match nothing. */
  names?(options: Options, kernel: KernelOffer, host: HostFacts): readonly NameList[];
  create(context: ProbeContext, options: Options): Probe;
  reporting?: Reporting<Options>;
  /**
   * Returns the tracer that the probe needs. The buffer of this tracer receives the tracer's records (system `ftrace`,
   * such as `ftrace:timerlat`) and all other events of the probe. `tracer` is absent if the probe needs no tracer. All
   * probes without a tracer share one buffer.
   */
  tracer?(options: Options): TracerRequest;
  /**
   * Returns a conflict with another enabled probe; undefined if there is none. A conflict is an error in the config.
   * `others`: options of the enabled probes, by name.
   */
  conflict?(options: Options, others: ReadonlyMap<string, unknown>): Conflict | undefined;
  /** Names and help of the metrics, for `list metrics`. */
  metrics: readonly {
    name: string;
    labels: readonly string[];
    help: string;
    /** Labels whose values come from the kernel or the user, as in `MetricSpec`. */
    open?: readonly string[];
    /** True for a declared metric if each of its times belongs to one task. Traces can show these times. */
    isOfTask?: boolean;
  }[];
}
