import type { z } from 'zod';
import type { SchemaKit } from '../config/units.ts';
import type { MetricStore } from '../metrics/store.ts';
import type { EventFormat } from '../model/format.ts';
import type { FunctionNames } from '../model/function-names.ts';
import type { IntervalSinks } from '../model/intervals.ts';
import type { BytesReader, EventHandler, IntReader } from '../model/record.ts';
import type { TimestampNs } from '../model/time.ts';
import type { TracerRequest } from '../model/tracer.ts';

/** An event a probe needs, as data. */
export interface EventNeed {
  /** `system:name` */
  event: string;
  /** Fields it reads. One that this kernel lacks turns the probe off. */
  fields: readonly string[];
  /**
   * Present: the probe works without this event. Says what is then not measured, as in `migrations are not counted`;
   * '' where nothing is missing. Absent: the probe is off without the event.
   */
  without?: string;
}

/** A list of names or globs in the config of a probe, and what they can match. */
export interface NameList {
  /** Key in the probe's section. */
  key: string;
  globs: readonly string[];
  /** What is named, in the singular: `event`. */
  kind: string;
  /** All there are; undefined where that cannot be told. */
  offered: readonly string[] | undefined;
}

/** What the kernel offers, for probes whose needs depend on it. */
export interface KernelOffer {
  events(): readonly string[];
  machine: string;
  /** Functions that can be traced; absent where that is not looked up. */
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
  /** What the kernel's `syscalls:sys_enter_*` event of a syscall is called: `newfstat` for `fstat`. */
  syscallEventName(name: string): string;
  /** `ENOENT` for 2; undefined for numbers without a name. */
  errnoName(errno: number): string | undefined;
  /** Name of a block device from the kernel's dev_t (major << 20 | minor): `nvme0n1`; `259:0` where unknown. */
  blockDeviceName(dev: number): string;
  /** Names of all disks there are now; undefined where that cannot be told. */
  blockDeviceNames(): readonly string[] | undefined;
  /** Whether a device still exists; unknown counts as existing. */
  blockDeviceExists(dev: number): boolean;
}

/** What a probe is given when it is made. */
export interface ProbeContext {
  metrics: MetricStore;
  host: HostFacts;
  /** Highest logical CPU number + 1: the CPUs a record can come from. */
  cpuCount: number;
  /** CPUs whose series exist from the start; `cpuCount` can far exceed them. */
  onlineCpus: readonly number[];
  /** What gauges that show a maximum look back on. */
  maxWindowMs: number;
  functions: FunctionNames;
  /** Who wants to know of single operations. */
  intervals: IntervalSinks;
  /** Events the probe asked for and gets, in the order of `needs`. */
  events: readonly string[];
  /** Of an event the probe asked for; undefined when it was optional and is not there. */
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
 * Why the end of a pair has no usable start, or a start no end:
 * `no_start` (began before the agent, or the kernel sends no start), `no_end`, `lost` (events were lost in between),
 * `late` (recorded out of order: would be negative), `exited` (the task is gone), `evicted` (table full), `too_deep` (calls nested deeper
 * than the kernel follows).
 */
export type UnmatchedReason = 'no_start' | 'no_end' | 'lost' | 'late' | 'exited' | 'evicted' | 'too_deep';

/** A running probe. */
export interface Probe {
  /** By event. Called in the order of time, as far as the watermark can tell. */
  handlers: Readonly<Record<string, EventHandler>>;
  /**
   * Events of `cpu` were lost up to `untilNs`, the first stamp after the loss. Called before any event that lies
   * within the loss is handed out. Pairs keyed by task or request that began before `untilNs`, on any CPU, are void.
   */
  onLoss?(cpu: number, untilNs: TimestampNs): void;
  /** About once a second: housekeeping that must not happen on the hot path. */
  sweep?(): void;
  /** Of a latency tracer: it has met a latency longer than any since it was last reset. '' where it has no trace. */
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
  /** One sentence: the question it answers. */
  help: string;
  /** On without a config. */
  byDefault: boolean;
  /** `low`: quiet tick and small sub-buffers will do. `high`: called for every syscall or function. */
  rate: 'low' | 'high';
  /** Of the probe's section in the config; fills in all defaults. Unknown keys are errors. */
  schema(kit: SchemaKit): z.ZodType<Options>;
  /** Keys that say what is traced, for a recording, which has decided that: whoever replays it need not say it. */
  inRecordings?: Readonly<Record<string, unknown>>;
  /**
   * Empty: there is nothing to trace with these options on this kernel. `intervals`: who wants to know of single
   * operations, which can take more.
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
   * The tracer whose recording it reads, in a buffer of the tracer's own: records of the system `ftrace`
   * (`ftrace:timerlat`), and events that are enabled there beside it. Absent: events alone, in the common buffer.
   */
  tracer?(options: Options): TracerRequest;
  /** Among the other probes that are on (options by name), one it cannot be on with: an error of the config. */
  conflict?(options: Options, others: ReadonlyMap<string, unknown>): Conflict | undefined;
  /** Names and help of the metrics, for `list metrics`. */
  metrics: readonly { name: string; labels: readonly string[]; help: string }[];
}
