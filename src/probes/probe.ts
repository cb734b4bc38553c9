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
  /** Fields that the probe reads. If the kernel lacks one of them, the event counts as missing. */
  fields: readonly string[];
  /**
   * Fields that contain the address of a kernel function. If function names are not available, the event counts as
   * missing. Only a probe that declares addresses gets `ProbeContext.functions`.
   */
  addresses?: readonly string[];
  /**
   * If set, the event is optional. The text names what is not measured without the event, as in `migrations are not
   * counted`, or is '' if everything is still measured. If undefined, the probe is off without the event.
   */
  without?: string | undefined;
}

/** A list of names or globs in the config of a probe, and the names that exist. */
export interface NameList {
  /** Key in the probe's section. */
  key: string;
  globs: readonly string[];
  /** Singular noun for what the names refer to, such as `event`. */
  kind: string;
  /** All existing names. Undefined if the kernel does not list them. */
  offered: readonly string[] | undefined;
}

/** Events and functions of the kernel. Some probes need these to choose their events. */
export interface KernelOffer {
  events(): readonly string[];
  machine: string;
  /** Functions that can be traced. Absent if the caller has not looked them up. */
  functions?(): readonly string[] | undefined;
}

/** Config keys of every probe, with defaults filled in. */
export interface CommonOptions extends ProbeDefaults {
  /** For probes about tasks: whether series are split by container. */
  per_container?: boolean;
  /** Never suspend the probe, even if the agent is over its budget. */
  essential?: boolean;
}

/** Facts about the machine, from the host or from a recording. */
export interface HostFacts {
  /** Name of a syscall. Undefined if the table does not contain the number. */
  syscallName(id: number): string | undefined;
  /** Syscall numbers in the table, ascending. */
  syscallIds(): readonly number[];
  /** Name that the kernel's `syscalls:sys_enter_*` event uses for a syscall: `newfstat` for `fstat`. */
  syscallEventName(name: string): string;
  /** Name of an errno, such as `ENOENT` for 2; undefined for numbers without a name. */
  errnoName(errno: number): string | undefined;
  /** Handler names of an interrupt line; undefined if unknown. */
  irqName(irq: number): string | undefined;
  /** Current name of a task (host pid). Undefined if the task has ended or its name is unknown. */
  taskName(pid: number): string | undefined;
  /** Length of the kernel's jiffy in nanoseconds. Undefined if unknown. */
  jiffyNs(): number | undefined;
  /** Name of a block device, such as `nvme0n1`, from the kernel's dev_t (major << 20 | minor). `259:0` if unknown. */
  blockDeviceName(dev: number): string;
  /** Names of all disks; undefined if they cannot be listed. */
  blockDeviceNames(): readonly string[] | undefined;
  /** Whether a device still exists. True if unknown. */
  blockDeviceExists(dev: number): boolean;
  /** Which tasks are SCHED_BATCH or SCHED_IDLE. Absent if unknown, as in a recording. */
  taskClasses?: TaskClasses;
  /** The container of each task. Absent if no probe needs containers, or if they cannot be found. */
  containers?: Containers | undefined;
}

/** Argument of a probe's `create`. */
export interface ProbeContext {
  metrics: MetricStore;
  host: HostFacts;
  /** Highest logical CPU number + 1. Records can come from any CPU below this. */
  cpuCount: number;
  /** CPUs whose series exist from the start. There can be far fewer than `cpuCount`. */
  onlineCpus: readonly number[];
  /** Length of the window of gauges that show a maximum. */
  maxWindowMs: number;
  /** Names for the fields that the probe declares as `addresses`. Throws if the probe declares none. */
  readonly functions: FunctionNames;
  /** Sinks to which the probe reports single operations, for traces. */
  intervals: IntervalSinks;
  /** Events that the probe needs and that are available, in the order of `needs`. */
  events: readonly string[];
  /** Format of an event that the probe needs. Undefined if the event is optional and missing. */
  format(event: string): EventFormat | undefined;
  int(event: string, field: string): IntReader;
  /**
   * Offset of the low 32 bits of an integer field, in words from the start of the payload. The busiest handlers read
   * `record.words[(record.offset >> 2) + at]`, because calling a reader costs more than the read itself.
   */
  word(event: string, field: string): number;
  bytes(event: string, field: string): BytesReader;
  /** Makes the kernel count an event. Throws an `Error` if that fails. Absent in recordings. */
  countInKernel?: ((request: KernelCountRequest) => KernelCount) | undefined;
  /** Whether a thread (host pid) is one of the agent's own. */
  isSelf(pid: number): boolean;
  /** Counts an event that the probe dropped because one of the agent's own threads caused it. */
  ignoreSelf(): void;
  /** Returns a function that adds to `ftrace_exporter_unmatched_total` for this reason. Call this once per reason. */
  unmatched(reason: UnmatchedReason): (count?: number) => void;
}

/**
 * Why an operation was not measured: `no_start` (the operation began before the agent, or the kernel emits no start
 * event), `no_end` (the end event is missing), `lost` (the kernel lost events in between), `late` (the events were out
 * of order, so the time would be negative), `exited` (the task has ended), `evicted` (the table was full), `too_deep`
 * (too many nested calls), `suspended` (the agent suspended the probe in between, to keep its budget).
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
  /** Handlers by event. The agent calls them in time order, except for late events (see decode/merge.ts). */
  handlers: Readonly<Record<string, EventHandler>>;
  /** Events that the kernel counts for the probe. They have no handlers. */
  counted?: readonly string[] | undefined;
  /**
   * Called when events of `cpu` were lost, before any later event of that CPU. `untilNs` is the time of the first event
   * after the loss. The probe must drop operations of tasks or requests that began before `untilNs`, on any CPU.
   */
  onLoss?: ((cpu: number, untilNs: TimestampNs) => void) | undefined;
  /** Filters in the kernel's syntax, by event. The probe needs only the records that match. */
  filters?: Readonly<Record<string, string>>;
  /** Called about once a second, for work that is too slow for the hot path. */
  sweep?(): void;
  /** Only for latency tracers: called for each new maximum. `trace` is the kernel's trace of the latency, or ''. */
  onLatency?(latencyNs: number, trace: string): void;
}

/** Why two probes cannot both be on. */
export interface Conflict {
  /** Name of the other probe. */
  with: string;
  why: string;
}

/** How a probe reports single operations, for traces. */
export interface Reporting<Options> {
  /** Whether the probe reports all operations that the sinks need. If not, a second instance runs as a helper. */
  reportsAll?(options: Options, sinks: IntervalSinks, host: HostFacts): boolean;
  /** Options of the helper. `include`: globs of the operations that get traces; undefined if the config has none. */
  helper?(include: readonly string[] | undefined): Omit<Options, keyof CommonOptions>;
  /** Whether the histogram counts operations whose first label has this value. If absent, it counts all operations. */
  counts?(options: Options): (value: string) => boolean;
  /** True if the histogram has no container labels, even with `per_container`. */
  withoutContainers?: boolean;
}

/** A probe answers one question about the kernel. */
export interface ProbeModule<Options extends CommonOptions = CommonOptions> {
  name: string;
  /** One sentence that says what the probe measures. README.md shows it. */
  help: string;
  /** Whether the probe is on without a config. */
  byDefault: boolean;
  /**
   * Event rate. `low`: at most as many events as task switches, so a long tick and small sub-buffers suffice. `high`:
   * events for every syscall, timer or function call.
   */
  rate: 'low' | 'high';
  /** Schema of the probe's config section. It fills in all defaults and rejects unknown keys. */
  schema(kit: SchemaKit): z.ZodType<Options>;
  /** For recordings only: defaults of config keys that choose what to trace. */
  inRecordings?: Readonly<Record<string, unknown>>;
  /**
   * Why traces of the kind with the same name need this probe, such as `chooses the CPUs`. Ends an error message.
   * Absent if these traces don't need the probe.
   */
  choosesForKind?: string;
  /**
   * Events that the probe needs. Empty if these options select nothing on this kernel. A probe that reports single
   * operations to `intervals` may need more events.
   */
  needs(
    options: Options,
    kernel: KernelOffer,
    host: HostFacts,
    intervals?: IntervalSinks,
  ): readonly EventNeed[];
  /** Names and globs in the options, so that the agent can report those that match nothing. */
  names?(options: Options, kernel: KernelOffer, host: HostFacts): readonly NameList[];
  create(context: ProbeContext, options: Options): Probe;
  reporting?: Reporting<Options>;
  /**
   * The tracer that the probe reads. Its buffer receives the tracer's records (system `ftrace`, such as
   * `ftrace:timerlat`) and the other events of the probe. Absent if the probe reads only events, from the common
   * buffer.
   */
  tracer?(options: Options): TracerRequest;
  /** Returns a conflict with another enabled probe, which is a config error. `others`: options by probe name. */
  conflict?(options: Options, others: ReadonlyMap<string, unknown>): Conflict | undefined;
  /** Names and help of the metrics, for `list metrics`. */
  metrics: readonly {
    name: string;
    labels: readonly string[];
    help: string;
    /** As in `MetricSpec`. */
    open?: readonly string[];
    /** True for a declared metric whose times belong to tasks, so that traces can show them. */
    isOfTask?: boolean;
  }[];
}
