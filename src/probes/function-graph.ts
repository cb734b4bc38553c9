/**
 * How long do kernel functions take? Reads records of the function_graph tracer (kernel/trace/trace_functions_graph.c).
 * A duration includes sleeps and called functions. The field `overrun` is the number of calls of the task that were
 * nested too deeply to be recorded.
 */
import { DEFAULT_BUCKETS } from '../config/units/buckets.ts';
import type { FunctionReturn, FunctionSink } from '../model/intervals.ts';
import type { EventHandler, EventRecord, UsualForm } from '../model/record.ts';
import { TWO_POW_32 } from '../model/time.ts';
import { declareDurations } from './families.ts';
import { type FunctionCaller, functionCaller } from './names/function-caller.ts';
import {
  type FunctionOptions,
  functionFilter,
  functionKeys,
  functionNames,
  mustChoose,
} from './options/function-options.ts';
import type { Probe, ProbeContext, ProbeModule } from './probe.ts';
import { Overruns } from './tables/overruns.ts';
import { ValueRows } from './tables/value-rows.ts';

const RETURN = 'ftrace:funcgraph_exit';

const DURATION = {
  name: 'ftrace_function_duration_seconds',
  help: 'Time from the call of a kernel function to its return, including sleeps and called functions, by the CPU on which the function returned.',
  labels: ['function'],
  open: ['function'],
  ownTime: true,
};

/** Longer durations (104 days in ns) are invalid. Doubles represent integers exactly only up to this limit. */
const ABSURD_NS = 2 ** 53;

export interface FunctionGraphOptions extends FunctionOptions {
  /** Number of call levels to trace: 1 for only the selected functions, 0 for all levels. */
  max_depth: number;
}

export const functionGraph: ProbeModule<FunctionGraphOptions> = {
  name: 'function_graph',
  help: 'How long kernel functions take.',
  byDefault: false,
  choosesForKind: 'chooses the functions',
  rate: 'high',
  inRecordings: { unfiltered: true },
  schema: (kit) =>
    kit
      .probeSchema(
        { enabled: false, per_cpu: true, max_series: 500, buckets: DEFAULT_BUCKETS },
        { ...functionKeys(kit), max_depth: kit.z.int().min(0).max(64).default(1) },
      )
      .refine(mustChoose.check, mustChoose.problem),
  tracer: (options) => ({
    tracer: 'function_graph',
    where: 'prefer_instance',
    reads: 'events',
    options: {
      // Include functions that run in interrupts.
      'funcgraph-irqs': '1',
      // These make records longer.
      'funcgraph-retval': '0',
      'funcgraph-args': '0',
      'funcgraph-retaddr': '0',
      'sleep-time': '1',
    },
    knobs: [],
    functions: functionFilter(options, options.max_depth),
  }),
  needs: (_options, _kernel, _host, intervals) => [
    {
      event: RETURN,
      fields: [
        ...['func', 'calltime', 'rettime', 'overrun', 'common_pid', 'common_flags'],
        ...(intervals?.functions === undefined ? [] : ['depth']),
      ],
      addresses: ['func'],
    },
  ],
  names: functionNames,
  create: createFunctionGraph,
  metrics: [{ ...DURATION, labels: [...DURATION.labels, 'cpu'] }],
};

function createFunctionGraph(context: ProbeContext, options: FunctionGraphOptions): Probe {
  // `unknown` needs a series in addition to the functions.
  const inFamily = { ...options, max_series: options.max_series + 1 };
  const durations = declareDurations(context, DURATION, inFamily, (row) => [rows.names[row]]);
  const rows = new ValueRows(context.functions, options.max_series, () => {
    durations.family.table.overflows++;
  });
  const { isSelf } = context;
  const late = context.unmatched('late');
  const tooDeep = context.unmatched('too_deep');
  const overruns = new Overruns();
  const caller = functionCaller(context, RETURN, 'func');
  const pidAt = context.word(RETURN, 'common_pid');
  const calledAt = context.word(RETURN, 'calltime');
  const returnedAt = context.word(RETURN, 'rettime');
  const overrunAt = context.word(RETURN, 'overrun');
  const sink = context.intervals.functions;
  const report = sink && reporter(context, caller, sink);
  const handler: EventHandler = (record) => {
    const { words, cpu } = record;
    const at = record.offset >> 2;
    if (caller.isOurs(record)) return;
    const overrun = words[at + overrunAt];
    // The idle tasks of all CPUs have pid 0. A negative number per CPU distinguishes them.
    const task = words[at + pidAt] === 0 ? -1 - cpu : words[at + pidAt];
    if (overrun !== 0) tooDeep(overruns.growth(task, overrun >>> 0));
    // A double cannot represent all 64-bit times exactly.
    const high = (words[at + returnedAt + 1] >>> 0) - (words[at + calledAt + 1] >>> 0);
    const ns = high * TWO_POW_32 + ((words[at + returnedAt] >>> 0) - (words[at + calledAt] >>> 0));
    if (ns >= 0 && ns < ABSURD_NS) {
      durations.record(rows.row(caller.low(record), caller.high(record)), cpu, ns);
      report?.(record, ns);
    } else {
      late();
    }
  };
  const { addressAt } = caller;
  /** The fast path for short calls of functions that returned on the same CPU before. */
  const usual: UsualForm = (words, at, _timestampNs, cpu) => {
    const row = rows.peek(words[at + addressAt], words[at + addressAt + 1]);
    if (row < 0 || words[at + overrunAt] !== 0 || isSelf(words[at + pidAt])) return false;
    if (words[at + returnedAt + 1] !== words[at + calledAt + 1]) return false;
    const ns = (words[at + returnedAt] >>> 0) - (words[at + calledAt] >>> 0);
    const slot = durations.peek(row, cpu);
    return slot >= 0 && durations.family.recordUsual(slot, ns);
  };
  if (caller.isWide && report === undefined) handler.usual = usual;
  return {
    handlers: { [RETURN]: handler },
    sweep: () => {
      rows.refresh();
      for (const row of rows.expired()) {
        durations.forget(row);
        durations.family.release('function', rows.names[row]);
      }
    },
    onLoss: sink && ((_cpu, untilNs) => sink.lost(untilNs)),
  };
}

function reporter(context: ProbeContext, caller: FunctionCaller, sink: FunctionSink) {
  const pidOf = context.int(RETURN, 'common_pid');
  const depthOf = context.int(RETURN, 'depth');
  const endOf = context.int(RETURN, 'rettime');
  const call: FunctionReturn = {
    ...{ low: 0, high: 0, pid: 0, cpu: 0, depth: 0, inInterrupt: false },
    ...{ startNs: 0, endNs: 0, durationNs: 0, recordedNs: 0 },
  };
  sink.names(context.functions);
  return (record: EventRecord, durationNs: number): void => {
    call.low = caller.low(record);
    call.high = caller.high(record);
    call.pid = pidOf(record);
    call.cpu = record.cpu;
    call.depth = depthOf(record);
    call.inInterrupt = caller.inInterrupt(record);
    call.endNs = endOf(record);
    call.startNs = call.endNs - durationNs;
    call.durationNs = durationNs;
    call.recordedNs = record.timestampNs;
    sink.returned(call);
  };
}
