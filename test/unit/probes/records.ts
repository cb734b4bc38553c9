/**
 * Runs a probe on records that are made from a kernel's format texts (6.18 by default) and given field values. Returns
 * its metrics. The metric store and the field readers are the real ones.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { schemaKit } from '../../../src/config/units.ts';
import { bytesReader, intReader, wordOffset } from '../../../src/decode/fields.ts';
import { parseFormat } from '../../../src/decode/format.ts';
import { MetricStore } from '../../../src/metrics/store.ts';
import type { EventFormat } from '../../../src/model/format.ts';
import { type FunctionNames, NAMELESS } from '../../../src/model/function-names.ts';
import type { IntervalSinks } from '../../../src/model/intervals.ts';
import type { EventRecord } from '../../../src/model/record.ts';
import type {
  CommonOptions,
  HostFacts,
  KernelOffer,
  Probe,
  ProbeContext,
  ProbeModule,
  UnmatchedReason,
} from '../../../src/probes/probe.ts';

const FIXTURES = new URL('../../fixtures/', import.meta.url);
const USUAL_KERNEL = '6.18';
/** Kernels with format texts of tracers; 5.10 has neither osnoise nor timerlat. */
export const TRACER_KERNELS = ['5.10-rt', '6.1-rt', '6.12-rt', '7.3-rt'] as const;
/** Offset of records in the page. It is not 0, so that code that forgets the offset fails. */
const RECORD_AT = 40;

const parsed = new Map<string, EventFormat>();

function formatFile(event: string, kernel: string): URL {
  return new URL(`formats-${kernel}/${event.replace(':', '/')}`, FIXTURES);
}

/** Format of an event, from the text in `texts` or, if there is none, from the kernel's fixture. */
export function loadFormat(
  event: string,
  kernel = USUAL_KERNEL,
  texts: Readonly<Record<string, string>> = {},
): EventFormat | undefined {
  const ownText = texts[event];
  const key = ownText ?? `${kernel} ${event}`;
  const cached = parsed.get(key);
  if (cached !== undefined) return cached;
  const file = formatFile(event, kernel);
  if (ownText === undefined && !existsSync(file)) return undefined;
  const format = parseFormat(event.split(':')[0], ownText ?? readFileSync(file, 'utf8'));
  if ('error' in format) throw new Error(`${event}: ${format.error}`);
  parsed.set(key, format);
  return format;
}

/** All events that have a format text. */
export function knownEvents(kernel = USUAL_KERNEL): string[] {
  const root = new URL(`formats-${kernel}/`, FIXTURES);
  return readdirSync(root).flatMap((system) =>
    readdirSync(new URL(`${system}/`, root)).map((name) => `${system}:${name}`),
  );
}

function noFormat(event: string, kernel = USUAL_KERNEL): string {
  const path = event.replace(':', '/');
  return `copy /sys/kernel/tracing/events/${path}/format of that kernel to test/fixtures/formats-${kernel}/${path}`;
}

/**
 * Field values of a record. `ts`, `cpu`, `by` (common_pid) and `flags` (common_flags) are about the record itself;
 * `own_flags` is the event's own field `flags`.
 */
export type RecordFields = { ts: number; cpu?: number; by?: number; flags?: number } & Record<
  string,
  number | bigint | string | undefined
>;

const page = new ArrayBuffer(4096);
const bytes = new Uint8Array(page);
const view = new DataView(page);

/** Makes a record of an event. It is valid until the next call. */
export function makeRecord(event: string, values: RecordFields, format = loadFormat(event)): EventRecord {
  if (format === undefined) throw new Error(noFormat(event));
  const { ts, cpu = 0, by = 1, flags = 0, own_flags: ownFlags, ...fields } = values;
  bytes.fill(0xee);
  const fixed = Math.max(...format.fields.map((field) => field.offset + field.size));
  bytes.fill(0, RECORD_AT, RECORD_AT + fixed);
  let length = fixed;
  const all: Record<string, number | bigint | string | undefined> = {
    ...fields,
    ...(ownFlags === undefined ? {} : { flags: ownFlags }),
    common_type: format.id,
    common_flags: flags,
    common_pid: by,
  };
  for (const [name, value] of Object.entries(all)) {
    const field = format.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${event} has no field ${name}`);
    const at = RECORD_AT + field.offset;
    if (typeof value === 'string') {
      const text = Buffer.from(`${value}\0`);
      if (field.location === 'inline') {
        bytes.set(text.subarray(0, field.size), at);
      } else {
        view.setUint32(at, length | (text.length << 16), true);
        bytes.set(text, RECORD_AT + length);
        length += text.length;
      }
    } else if (value !== undefined) {
      setInteger(at, field.size, BigInt(value));
    }
  }
  return {
    words: new Int32Array(page),
    bytes,
    offset: RECORD_AT,
    length: (length + 3) & ~3,
    cpu,
    timestampNs: ts,
  };
}

function setInteger(at: number, size: number, value: bigint): void {
  for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 255n);
}

export interface Machine {
  intervals?: IntervalSinks;
  cpuCount?: number;
  onlineCpus?: readonly number[];
  self?: readonly number[];
  events?: readonly string[];
  host?: Partial<HostFacts>;
  store?: MetricStore;
  functions?: FunctionNames;
  countInKernel?: ProbeContext['countInKernel'];
  maxWindowMs?: number;
  /** Kernel whose format texts to use: the part after `formats-` in the name of a directory of fixtures. */
  kernel?: string;
  /** Format texts by event that replace the kernel's. */
  formats?: Readonly<Record<string, string>>;
}

const SYSCALLS = new Map([
  [0, 'read'],
  [1, 'write'],
  [5, 'fstat'],
  [15, 'rt_sigreturn'],
  [39, 'getpid'],
  [56, 'clone'],
  [59, 'execve'],
  [60, 'exit'],
  [74, 'fsync'],
  [231, 'exit_group'],
]);

export const fakeHost: HostFacts = {
  syscallName: (id) => SYSCALLS.get(id),
  syscallIds: () => [...SYSCALLS.keys()],
  syscallEventName: (name) => (name === 'fstat' ? 'newfstat' : name),
  errnoName: (errno) =>
    new Map([
      [2, 'ENOENT'],
      [11, 'EAGAIN'],
    ] as const).get(errno as 2 | 11),
  irqName: (irq) => (irq === 30 ? 'eth0' : undefined),
  taskName: (pid) => (pid === 42 ? 'bash' : undefined),
  jiffyNs: () => 4e6,
  blockDeviceName: (dev) => `disk${dev & 0xfffff}`,
  blockDeviceNames: () => ['disk3'],
  blockDeviceExists: () => true,
};

export interface Harness {
  probe: Probe;
  store: MetricStore;
  unmatched: Partial<Record<UnmatchedReason, number>>;
  ignored(): number;
  feed(event: string, values: RecordFields): void;
  /** Value of a counter; undefined if the series does not exist. */
  value(name: string, ...labels: string[]): number | undefined;
  /** Count, and sum in nanoseconds, of a histogram; undefined if the series does not exist. */
  durations(name: string, ...labels: string[]): { count: number; sum: number } | undefined;
  /** Number of samples that an exposition of the probe's families has. */
  samples(): number;
}

export function run<O extends CommonOptions>(
  module: ProbeModule<O>,
  section: Record<string, unknown> = {},
  machine: Machine = {},
): Harness {
  const options = module.schema(schemaKit).parse(section);
  const texts = machine.formats ?? {};
  const formatOf = (event: string) => loadFormat(event, machine.kernel, texts);
  const offered = machine.events ?? [...knownEvents(machine.kernel), ...Object.keys(texts)];
  const kernel: KernelOffer = { events: () => offered, machine: 'x86_64' };
  const host = { ...fakeHost, ...machine.host };
  const needs = module.needs(options, kernel, host, machine.intervals);
  const store = machine.store ?? new MetricStore();
  const unmatched: Partial<Record<UnmatchedReason, number>> = {};
  let ignored = 0;
  // Fails if the probe reads a field that it does not declare: the decoder checks records only for declared fields.
  const declared = (event: string, field: string): EventFormat => {
    const need = needs.find((candidate) => candidate.event === event);
    const format = formatOf(event);
    if (need === undefined) throw new Error(`${module.name} reads ${event}: declare it in needs()`);
    if (format === undefined) throw new Error(noFormat(event, machine.kernel));
    if (!offered.includes(event))
      throw new Error(`${module.name} reads ${event}, which this test does not offer`);
    if (!need.fields.includes(field))
      throw new Error(`${module.name} reads ${event}.${field}: declare it in the fields of the need`);
    return format;
  };
  const got = needs.map((need) => need.event).filter((event) => offered.includes(event));
  const context: ProbeContext = {
    metrics: store,
    host,
    cpuCount: machine.cpuCount ?? 4,
    onlineCpus: machine.onlineCpus ?? [0, 1],
    maxWindowMs: machine.maxWindowMs ?? 120_000,
    get functions(): FunctionNames {
      if (needs.some(({ addresses = [] }) => addresses.length > 0)) return machine.functions ?? NAMELESS;
      throw new Error(
        `${module.name} reads names of functions: declare the fields in \`addresses\` of its needs`,
      );
    },
    intervals: machine.intervals ?? {},
    events: got,
    format: (event) => (got.includes(event) ? formatOf(event) : undefined),
    int: (event, field) => intReader(declared(event, field), field),
    word: (event, field) => wordOffset(declared(event, field), field),
    bytes: (event, field) => bytesReader(declared(event, field), field),
    countInKernel: machine.countInKernel,
    isSelf: (pid) => machine.self?.includes(pid) ?? false,
    ignoreSelf: () => {
      ignored++;
    },
    unmatched:
      (reason) =>
      (count = 1) => {
        unmatched[reason] = (unmatched[reason] ?? 0) + count;
      },
  };
  const probe = module.create(context, options);
  return {
    probe,
    store,
    unmatched,
    ignored: () => ignored,
    feed: (event, values) => {
      const format = formatOf(event);
      if (format === undefined) throw new Error(noFormat(event, machine.kernel));
      const handler = probe.handlers[event];
      if (handler === undefined) throw new Error(`${module.name} has no handler of ${event}`);
      handler(makeRecord(event, values, format));
    },
    value: (name, ...labels) => {
      const family = seriesOf(store, name, labels);
      return family?.values[0];
    },
    durations: (name, ...labels) => {
      const family = seriesOf(store, name, labels);
      return family && { count: family.counts[0], sum: family.sums[0] };
    },
    samples: () => countSamples(store),
  };
}

function seriesOf(store: MetricStore, name: string, labels: readonly string[]) {
  const family = store.snapshot().families.find((candidate) => candidate.spec.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  const width = family.spec.labels.length;
  for (let s = 0; s < family.seriesCount; s++) {
    const own = family.labelValues.slice(s * width, (s + 1) * width);
    if (own.length !== labels.length || own.some((value, i) => value !== labels[i])) continue;
    return {
      values: [family.values[s]],
      counts: [family.histogram?.counts[s] ?? Number.NaN],
      sums: [(family.histogram?.sumsNs[s] ?? Number.NaN) || 0],
    };
  }
  return undefined;
}

/** Number of samples in an exposition. A histogram has one for each bound, and +Inf, sum and count. */
export function countSamples(store: MetricStore): number {
  let samples = 0;
  for (const family of store.snapshot().families) {
    if (family.spec.name.startsWith('ftrace_exporter_')) continue;
    const counts = family.histogram?.counts ?? family.values;
    const series = counts.filter((count) => !Number.isNaN(count)).length;
    samples += series * (family.histogram === undefined ? 1 : family.spec.bounds.length + 3);
  }
  return samples;
}
