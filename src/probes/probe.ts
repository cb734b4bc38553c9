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

export interface EventNeed {
  /** `system:name` */
  event: string;
  /** If the event lacks one of these fields, the event counts as missing. */
  fields: readonly string[];
  /**
   * Fields with the address of a kernel function. Without function names, the event counts as missing. Only a probe
   * that declares addresses gets `ProbeContext.functions`.
   */
  addresses?: readonly string[];
  /**
   * If undefined, the probe cannot run without the event. Otherwise, this text says what is not measured without it,
   * such as `migrations are not counted`. '': the agent does not report the missing event.
   */
  without?: string | undefined;
}

/** Names or globs from the config, and the names that exist. */
export interface NameList {
  key: string;
  globs: readonly string[];
  /** Singular noun, such as `event`. */
  kind: string;
  /** Undefined if the kernel does not list the names. */
  offered: readonly string[] | undefined;
}

/** Some probes choose their events from these lists. */
export interface KernelOffer {
  events(): readonly string[];
  machine: string;
  /**
   * Returns the functions that the kernel can trace; undefined if it does not list them. Absent if the agent cannot
   * list them.
   */
  functions?(): readonly string[] | undefined;
}

/** Config keys that every probe has, with defaults filled in. */
export interface CommonOptions extends ProbeDefaults {
  /** For probes about tasks: whether the series have container labels. */
  per_container?: boolean;
  /** If true, the agent never suspends the probe to keep its CPU budget. */
  essential?: boolean;
}

/** Facts about the machine, from the host or from a recording. */
export interface HostFacts {
  /** Undefined for numbers without a syscall. */
  syscallName(id: number): string | undefined;
  /** Ascending. Empty if the syscall table is unknown. */
  syscallIds(): readonly number[];
  /** Returns the NAME of a syscall in `syscalls:sys_enter_NAME`, such as `newfstat` for `fstat`. */
  syscallEventName(name: string): string;
  /** Returns a name such as `ENOENT` for 2; undefined for numbers without a name. */
  errnoName(errno: number): string | undefined;
  /** Returns the names of an interrupt's handlers; undefined if unknown. */
  irqName(irq: number): string | undefined;
  /** Undefined if the task has ended or is unknown. */
  taskName(pid: number): string | undefined;
  /** In nanoseconds; undefined if unknown. */
  jiffyNs(): number | undefined;
  /**
   * Returns a name such as `nvme0n1`; `MAJOR:MINOR` if unknown. `dev` is the kernel's dev_t, with a minor number of 20
   * bits.
   */
  blockDeviceName(dev: number): string;
  /** Undefined if the agent cannot list disks. */
  blockDeviceNames(): readonly string[] | undefined;
  /** True if unknown. */
  blockDeviceExists(dev: number): boolean;
  /** Absent in recordings. */
  taskClasses?: TaskClasses;
  /** Absent if no probe needs containers, or if the agent cannot find containers. */
  containers?: Containers | undefined;
}

export interface ProbeContext {
  metrics: MetricStore;
  host: HostFacts;
  /** Highest possible CPU number + 1. */
  cpuCount: number;
  /** Often fewer than `cpuCount`. */
  onlineCpus: readonly number[];
  /** Length of the sliding window over which gauges show a maximum. */
  maxWindowMs: number;
  /** Throws an `Error` if no need of the probe declares `addresses`, or if function names are not available. */
  readonly functions: FunctionNames;
  /** Objects to which the probe reports single operations, for traces. */
  intervals: IntervalSinks;
  /** Available events of the probe, in the order of `needs`. */
  events: readonly string[];
  /** Returns undefined if the event is optional and missing. */
  format(event: string): EventFormat | undefined;
  int(event: string, field: string): IntReader;
  /**
   * Returns the offset of the low 32 bits of an integer field, in 32-bit words from the start of the payload. Reading
   * `record.words[(record.offset >> 2) + word]` is faster than calling an `IntReader`.
   */
  word(event: string, field: string): number;
  bytes(event: string, field: string): BytesReader;
  /** Throws an `Error` if the kernel cannot count the event. Absent in recordings. */
  countInKernel?: ((request: KernelCountRequest) => KernelCount) | undefined;
  /** Whether a thread (host pid) is one of the agent's own. */
  isSelf(pid: number): boolean;
  /** Counts an event that the agent's own threads caused. */
  ignoreSelf(): void;
  /**
   * Returns a function that adds `count` (default: 1) to `ftrace_exporter_unmatched_total`. Call `unmatched` once per
   * reason, when the probe is created.
   */
  unmatched(reason: UnmatchedReason): (count?: number) => void;
}

/**
 * Why an operation was not measured. `no_start`: it began before the agent, or has no start event. `no_end`: it has no
 * end event. `lost`: events were lost meanwhile. `late`: its time was negative, because events were out of order.
 * `exited`: its task exited. `evicted`: the probe's table was full, or the operation too old. `too_deep`: too many
 * nested calls. `suspended`: the agent suspended the probe meanwhile.
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

export interface Probe {
  /** Records come in time order, except for late events (see decode/merge.ts). */
  handlers: Readonly<Record<string, EventHandler>>;
  /** Events that the kernel counts. They have no handlers. */
  counted?: readonly string[] | undefined;
  /**
   * Called after events of `cpu` were lost, before its next event. `untilNs`: time of that event. The probe must drop
   * operations that began earlier. If operations can move between CPUs, this includes operations on other CPUs.
   */
  onLoss?: ((cpu: number, untilNs: TimestampNs) => void) | undefined;
  /** Filters in the kernel's syntax, by event. */
  filters?: Readonly<Record<string, string>>;
  /** Called about once a second, for work that is too slow for handlers. */
  sweep?(): void;
  /**
   * Only for latency tracers: called for each new maximum. `trace`: the kernel's description of the latency; '' if
   * none.
   */
  onLatency?(latencyNs: number, trace: string): void;
}

export interface Conflict {
  with: string;
  why: string;
}

/** How a probe reports single operations to sinks, for traces. */
export interface Reporting<Options> {
  /**
   * Whether the probe reports all operations that the sinks need. If false, the agent also runs a second instance, the
   * helper. The metrics of the helper are not exported. If `reportsAll` is absent, the probe reports all operations.
   */
  reportsAll?(options: Options, sinks: IntervalSinks, host: HostFacts): boolean;
  /**
   * Returns the helper's options. `include`: globs of the operations that get traces; undefined if the config has none.
   */
  helper?(include: readonly string[] | undefined): Omit<Options, keyof CommonOptions>;
  /** Returns a check whether the histogram counts operations with this first label. If absent, all are counted. */
  counts?(options: Options): (value: string) => boolean;
  /** True if the histogram has no container labels, even with `per_container`. */
  withoutContainers?: boolean;
}

/** A probe answers one question about the kernel. */
export interface ProbeModule<Options extends CommonOptions = CommonOptions> {
  name: string;
  /** One sentence that says what the probe measures. */
  help: string;
  /** Whether the probe is enabled if the config does not mention it. */
  byDefault: boolean;
  /**
   * `low`: at most about one event per task switch. `high`: an event per syscall, timer or function call, so the
   * kernel's buffers must be larger.
   */
  rate: 'low' | 'high';
  /** Fills in all defaults and rejects unknown keys. */
  schema(kit: SchemaKit): z.ZodType<Options>;
  /** Defaults that apply only to recordings. */
  inRecordings?: Readonly<Record<string, unknown>>;
  /**
   * What the probe does for traces, such as `chooses the CPUs`. The agent adds this to the error if the config enables
   * these traces but not the probe. Absent if the traces do not need the probe.
   */
  choosesForKind?: string;
  /**
   * An empty list means that the options select no event of this kernel. With `intervals`, the list includes events
   * that only traces need.
   */
  needs(
    options: Options,
    kernel: KernelOffer,
    host: HostFacts,
    intervals?: IntervalSinks,
  ): readonly EventNeed[];
  /** The agent reports names and globs that match nothing. */
  names?(options: Options, kernel: KernelOffer, host: HostFacts): readonly NameList[];
  create(context: ProbeContext, options: Options): Probe;
  reporting?: Reporting<Options>;
  /**
   * The tracer that the probe needs. A probe with a tracer has its own buffer, which receives all of the probe's
   * events. Probes without a tracer share one buffer.
   */
  tracer?(options: Options): TracerRequest;
  /**
   * Returns a conflict with an enabled probe, which is an error in the config. `others`: options of the enabled probes.
   */
  conflict?(options: Options, others: ReadonlyMap<string, unknown>): Conflict | undefined;
  /** For `list metrics`. */
  metrics: readonly {
    name: string;
    labels: readonly string[];
    help: string;
    /** Labels whose values come from the kernel or the user, as in `MetricSpec`. */
    open?: readonly string[];
    /** True if each time in the metric is the time of a single task. Traces can show these times. */
    isOfTask?: boolean;
  }[];
}
