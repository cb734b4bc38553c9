/**
 * How long do interrupt handlers run? Interrupts during the agent's own threads also count. Handlers that run in
 * threads (on real-time kernels) are not measured.
 */
import { decimalBuckets } from '../config/units/buckets.ts';
import type { EventHandler, EventRecord } from '../model/record.ts';
import { declareCpuCounts, declareDurations } from './families.ts';
import { HandlerNames } from './names/handler-names.ts';
import type { CommonOptions, EventNeed, Probe, ProbeContext, ProbeModule } from './probe.ts';
import { IrqStacks } from './tables/irq-stack.ts';

const ENTRY = 'irq:irq_handler_entry';
const EXIT = 'irq:irq_handler_exit';
const VECTOR_ENTRY = /^irq_vectors:(\w+)_entry$/;

const DURATION = {
  name: 'ftrace_irq_duration_seconds',
  help: 'Time that one run of an interrupt handler took.',
  labels: ['handler'],
  open: ['handler'],
};
const TIME = {
  name: 'ftrace_irq_seconds_total',
  help: 'Time that a CPU spent in interrupt handlers.',
  labels: ['cpu'],
};
const COUNT = {
  name: 'ftrace_irqs_total',
  help: 'Interrupt handlers that ran on a CPU. If several handlers share an interrupt line, each of them counts.',
  labels: ['cpu'],
};

export interface IrqOptions extends CommonOptions {
  /** Whether to measure interrupts that belong to no device: the local timer, rescheduling and other IPIs. */
  irq_vectors: boolean;
}

export const irq: ProbeModule<IrqOptions> = {
  name: 'irq',
  help: 'How long interrupt handlers run, and the time each CPU spends in them.',
  byDefault: true,
  rate: 'low',
  schema: ({ probeSchema, z }) =>
    probeSchema(
      { enabled: true, per_cpu: false, max_series: 32, buckets: decimalBuckets(1e-6, 0.01) },
      { irq_vectors: z.boolean().default(false) },
    ),
  needs: (options, kernel) => {
    const needs: EventNeed[] = [
      { event: ENTRY, fields: ['irq', 'name'] },
      { event: EXIT, fields: ['irq'], without: 'run times of interrupt handlers are not measured' },
    ];
    if (!options.irq_vectors) return needs;
    for (const vector of vectorsOf(kernel.events())) {
      needs.push({ event: entryOf(vector), fields: [], without: '' });
      needs.push({ event: exitOf(vector), fields: [], without: '' });
    }
    return needs;
  },
  create: createIrq,
  metrics: [DURATION, TIME, COUNT],
};

function entryOf(vector: string): string {
  return `irq_vectors:${vector}_entry`;
}

function exitOf(vector: string): string {
  return `irq_vectors:${vector}_exit`;
}

/** Returns the vectors that have an entry and an exit event, such as `local_timer` and `reschedule`. */
function vectorsOf(events: readonly string[]): string[] {
  const offered = new Set(events);
  return events.flatMap((event) => {
    const vector = VECTOR_ENTRY.exec(event)?.[1];
    return vector !== undefined && offered.has(exitOf(vector)) ? [vector] : [];
  });
}

function createIrq(context: ProbeContext, options: IrqOptions): Probe {
  const handlers = new HandlerNames();
  const duration = declareDurations(context, DURATION, options, (row) => [handlers.names[row]]);
  const vectors = vectorsOf(context.events);
  const hasExit = context.format(EXIT) !== undefined;
  const rowsShown = hasExit || vectors.length > 0 ? 1 : 0;
  const time = declareCpuCounts(context, TIME, { unit: 'seconds', divisor: 1e9, rowsShown });
  const count = declareCpuCounts(context, COUNT);
  const noStart = context.unmatched('no_start');
  const noEnd = context.unmatched('no_end');
  const lost = context.unmatched('lost');
  const late = context.unmatched('late');
  const evicted = context.unmatched('evicted');
  const { cpuCount } = context;
  const sink = context.intervals.interrupts;
  const longNs = sink?.thresholdNs ?? Number.POSITIVE_INFINITY;
  const stacks = new IrqStacks(cpuCount);
  /**
   * By CPU: 1 if no handler has started since the last loss of events. An end without a start then counts as `lost`.
   */
  const afterLoss = new Uint8Array(cpuCount);
  /** By CPU: end of the last loss of events. Records of handlers that started earlier can arrive after `onLoss`. */
  const lostUntil = new Float64Array(cpuCount);

  const begin = (record: EventRecord, line: number, row: number): void => {
    const { cpu } = record;
    count.add(0, cpu, 1);
    if (cpu >= cpuCount) return;
    afterLoss[cpu] = 0;
    if (!stacks.push(cpu, line, row, record.timestampNs)) evicted();
  };

  const finish = (record: EventRecord, line: number): void => {
    const { cpu } = record;
    const start = cpu < cpuCount ? stacks.pop(cpu, line) : 0;
    if (start === 0) {
      if (afterLoss[cpu] === 1) lost();
      else noStart();
      return;
    }
    for (let i = 0; i < stacks.skipped; i++) noEnd();
    if (start < lostUntil[cpu]) {
      lost();
      return;
    }
    const ns = record.timestampNs - start;
    if (ns < 0) {
      late();
      return;
    }
    duration.record(stacks.poppedRow, cpu, ns);
    time.add(0, cpu, ns);
    if (ns >= longNs) sink?.ended('irq', handlers.names[stacks.poppedRow], cpu, start, record.timestampNs);
  };

  const entryIrq = context.int(ENTRY, 'irq');
  const entryName = context.bytes(ENTRY, 'name');
  const byEvent: Record<string, EventHandler> = {};
  if (hasExit) {
    const exitIrq = context.int(EXIT, 'irq');
    byEvent[ENTRY] = (record) => {
      const line = entryIrq(record);
      begin(record, line, handlers.find(line, record, entryName.start(record), entryName.end(record)));
    };
    byEvent[EXIT] = (record) => finish(record, exitIrq(record));
  } else {
    byEvent[ENTRY] = (record) => count.add(0, record.cpu, 1);
  }
  vectors.forEach((vector, i) => {
    // No device has a negative interrupt number.
    const line = -1 - i;
    const row = handlers.row(vector);
    byEvent[entryOf(vector)] = (record) => begin(record, line, row);
    byEvent[exitOf(vector)] = (record) => finish(record, line);
  });

  return {
    handlers: byEvent,
    onLoss: (cpu, untilNs) => {
      if (cpu >= cpuCount) return;
      if (untilNs > lostUntil[cpu]) lostUntil[cpu] = untilNs;
      stacks.clear(cpu);
      afterLoss[cpu] = 1;
    },
  };
}
