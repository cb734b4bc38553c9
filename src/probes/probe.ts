import type { z } from 'zod';
import type { SchemaKit } from '../config/units.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { Containers } from '../model/containers.ts';
import type { EventFormat } from '../model/format.ts';
import type { FunctionNames } from '../model/function-names.ts';
import type { IntervalSinks } from '../model/intervals.ts';
import type { BytesReader, EventHandler, IntReader } from '../model/record.ts';
import type { TaskClasses } from '../model/task-classes.ts';
import type { TimestampNs } from '../model/time.ts';
import type { TracerRequest } from '../model/tracer.ts';

/** Event that a probe needs, as data. */
export interface EventNeed {
  /** `system:name` */
  event: string;
  /** Fields it reads. One that this kernel lacks turns the probe off. */
  fields: readonly string[];
  /**
   * The fields that hold an address in a kernel function. If functions have no names here, the event
   * counts as missing. Only probes that declare addresses get `functions`.
   */
  addresses?: readonly string[];
  /**
   * Present: the probe works without this event; the text says what it then does not measure, as in `migrations are
   * not counted`, or '' if it measures all the same. Absent: the probe is off without the event.
   */
  without?: string | undefined;
}

/** A list of names or globs in the config of a probe, and what they can match. */
export interface NameList {
  /** Key in the probe's section. */
  key: string;
  globs: readonly string[];
  /** Noun for what the names mean, in the singular: `event`. */
  kind: string;
  /** All that exist; undefined if the kernel does not list them. */
  offered: readonly string[] | undefined;
}

/** What the kernel offers, for probes whose needs depend on it. */
export interface KernelOffer {
  events(): readonly string[];
  machine: string;
  /** Functions that can be traced; absent if the caller does not look them up. */
  functions?(): readonly string[] | undefined;
}

/** Keys every probe takes, after the defaults are filled in. */
export interface CommonOptions {
  enabled: boolean;
  per_cpu: boolean;
  max_series: number;
  buckets: readonly number[];
}

/** Facts about the machine that probes ask for by key; from the host, or from a capture. */
export interface HostFacts {
  /** Name of a syscall, undefined when the table does not have the number. */
  syscallName(id: number): string | undefined;
  /** Numbers in the table, ascending. */
  syscallIds(): readonly number[];
  /** Name that the kernel's `syscalls:sys_enter_*` event uses for a syscall: `newfstat` for `fstat`. */
  syscallEventName(name: string): string;
  /** `ENOENT` for 2; undefined for numbers without a name. */
  errnoName(errno: number): string | undefined;
  /** Handler names of an interrupt line; undefined if unknown. */
  irqName(irq: number): string | undefined;
  /** Name of a task (host pid) now; undefined if it is gone, or not known here. */
  taskName(pid: number): string | undefined;
  /** Nanoseconds of the kernel's jiffy; undefined if unknown. */
  jiffyNs(): number | undefined;
  /** Name of a block device from the kernel's dev_t (major << 20 | minor): `nvme0n1`; `259:0` where unknown. */
  blockDeviceName(dev: number): string;
  /** Names of all disks; undefined if they cannot be listed. */
  blockDeviceNames(): readonly string[] | undefined;
  /** Whether a device still exists; unknown counts as existing. */
  blockDeviceExists(dev: number): boolean;
  /** Which tasks are SCHED_BATCH or SCHED_IDLE; absent if that is not known, as in a recording. */
  taskClasses?: TaskClasses;
  /** Which containers tasks are in; absent if no probe needs it, or it cannot be known. */
  containers?: Containers;
}

/** What `create` of a probe receives. */
export interface ProbeContext {
  metrics: MetricStore;
  host: HostFacts;
  /** Highest logical CPU number + 1: the CPUs a record can come from. */
  cpuCount: number;
  /** CPUs whose series exist from the start; `cpuCount` can far exceed them. */
  onlineCpus: readonly number[];
  /** Window of gauges that show a maximum. */
  maxWindowMs: number;
  /** Names for fields that are declared as `addresses`. Throws if the probe declares none. */
  readonly functions: FunctionNames;
  /** Where the probe reports single operations, for traces. */
  intervals: IntervalSinks;
  /** Events that the probe needs and gets, in the order of `needs`. */
  events: readonly string[];
  /** Format of an event that the probe needs; undefined if the event is optional and missing. */
  format(event: string): EventFormat | undefined;
  int(event: string, field: string): IntReader;
  /**
   * Where the low 32 bits of an integer field lie, in words from the start of the payload. For the hottest handlers,
   * which read `record.words[(record.offset >> 2) + at]`: a reader's call costs more than the read.
   */
  word(event: string, field: string): number;
  bytes(event: string, field: string): BytesReader;
  /** Whether a thread (host pid) is one of the agent's own. */
  isSelf(pid: number): boolean;
  /** Counts an event dropped because it is the agent's own. */
  ignoreSelf(): void;
  /** Makes the counter of one reason in `ftrace_exporter_unmatched_total`: call once, then call the result. */
  unmatched(reason: UnmatchedReason): (count?: number) => void;
}

/**
 * Why an end has no usable start, or a start no end: `no_start` (began before the agent, or the kernel sends no start),
 * `no_end`, `lost` (the kernel lost events in between), `late` (recorded out of order: would be negative), `exited` (the
 * task is gone), `evicted` (table full), `too_deep` (calls nested deeper than the kernel follows).
 */
export type UnmatchedReason = 'no_start' | 'no_end' | 'lost' | 'late' | 'exited' | 'evicted' | 'too_deep';

/** A running probe. */
export interface Probe {
  /** By event. Calls come in the order of time, as far as the watermark allows. */
  handlers: Readonly<Record<string, EventHandler>>;
  /**
   * Events of `cpu` were lost up to `untilNs`, the first time after the loss. Called before any later event of that
   * CPU. Pairs keyed by task or request that began before `untilNs`, on any CPU, are void.
   */
  onLoss?: ((cpu: number, untilNs: TimestampNs) => void) | undefined;
  /** Filters of events, in the kernel's language, of which the probe needs no other records. */
  filters?: Readonly<Record<string, string>>;
  /** About once a second: housekeeping that must not happen on the hot path. */
  sweep?(): void;
  /** For latency tracers: a latency longer than any since the last reset. `trace` is '' if the kernel has none. */
  onLatency?(latencyNs: number, trace: string): void;
}

/** Why two probes cannot be on together. */
export interface Conflict {
  /** Name of the other probe. */
  with: string;
  why: string;
}

/** One kernel question. */
export interface ProbeModule<Options extends CommonOptions = CommonOptions> {
  name: string;
  /** One sentence: what it measures. README.md shows it. */
  help: string;
  /** On without a config. */
  byDefault: boolean;
  /** `low`: a long tick and small sub-buffers are enough. `high`: called for every syscall or function. */
  rate: 'low' | 'high';
  /** Schema of the probe's section in the config; fills in all defaults. Unknown keys are errors. */
  schema(kit: SchemaKit): z.ZodType<Options>;
  /** Keys that choose what to trace. A recording has made that choice, so its config need not. */
  inRecordings?: Readonly<Record<string, unknown>>;
  /**
   * For a probe whose kind of traces cannot be on without it: what it does for the kind, as in `chooses the CPUs`. Absent:
   * there is no such kind, or it has a helper.
   */
  choosesForKind?: string;
  /**
   * Empty: nothing to trace with these options on this kernel. `intervals`: where single operations are reported, which
   * can need more events.
   */
  needs(
    options: Options,
    kernel: KernelOffer,
    host: HostFacts,
    intervals?: IntervalSinks,
  ): readonly EventNeed[];
  /** Names and globs of its options, so that those that match nothing can be reported. */
  names?(options: Options, kernel: KernelOffer, host: HostFacts): readonly NameList[];
  create(context: ProbeContext, options: Options): Probe;
  /**
   * The tracer that the probe reads, which gets a buffer of its own: records of the system `ftrace` (`ftrace:timerlat`),
   * and events enabled in the same buffer. Absent: the probe reads only events, in the common buffer.
   */
  tracer?(options: Options): TracerRequest;
  /** Finds a probe among the others that are on (options by name) that cannot be on with this one: a config error. */
  conflict?(options: Options, others: ReadonlyMap<string, unknown>): Conflict | undefined;
  /** Names and help of the metrics, for `list metrics`. `open`: as in `MetricFacts`. */
  metrics: readonly { name: string; labels: readonly string[]; help: string; open?: readonly string[] }[];
}
