/**
 * How long do functions of the kernel take? Records of the function_graph tracer in (kernel/trace/
 * trace_functions_graph.c, `funcgraph_exit` in kernel/trace/trace_entries.h); durations by function and CPU out.
 *
 * The record of a return holds both stamps, so nothing has to be paired, and a lost record costs one call. The time
 * a function slept is part of it, and the time of what it called. `overrun` counts, for a task since it was first
 * traced, calls that nest deeper than the kernel follows: these have no record.
 */
import { DEFAULT_BUCKETS } from '../config/units/buckets.ts';
import { TWO_POW_32 } from '../model/time.ts';
import { declareDurations } from './families.ts';
import { functionCaller } from './function-caller.ts';
import { type FunctionOptions, functionFilter, functionKeys, mustChoose } from './function-options.ts';
import { FunctionRows } from './function-rows.ts';
import { Overruns } from './overruns.ts';
import type { Probe, ProbeContext, ProbeModule } from './probe.ts';

const RETURN = 'ftrace:funcgraph_exit';

const DURATION = {
  name: 'ftrace_function_duration_seconds',
  help: 'Time from the call of a function of the kernel to its return, on the CPU where it returned.',
  labels: ['function'],
  open: ['function'],
};

/** 104 days: what doubles count in nanoseconds exactly. A call that long has a stamp that is none. */
const ABSURD_NS = 2 ** 53;

export interface FunctionGraphOptions extends FunctionOptions {
  /** 1: the functions alone; more: also what they call, so many levels in all; 0: all levels. */
  max_depth: number;
}

export const functionGraph: ProbeModule<FunctionGraphOptions> = {
  name: 'function_graph',
  help: 'How long functions of the kernel take.',
  byDefault: false,
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
      // For the text, which must have what it can have.
      'funcgraph-abstime': '1',
      'funcgraph-proc': '1',
      'funcgraph-tail': '1',
      'funcgraph-cpu': '1',
      'funcgraph-duration': '1',
      'funcgraph-overhead': '1',
      // Functions called by interrupts count as well.
      'funcgraph-irqs': '1',
      // What makes records longer, or their text another.
      'funcgraph-overrun': '0',
      'funcgraph-retval': '0',
      'funcgraph-args': '0',
      'funcgraph-retaddr': '0',
      'sleep-time': '1',
    },
    knobs: [],
    functions: functionFilter(options, options.max_depth),
  }),
  needs: () => [
    {
      event: RETURN,
      fields: ['func', 'calltime', 'rettime', 'overrun', 'common_pid', 'common_flags'],
    },
  ],
  create: createFunctionGraph,
  metrics: [{ ...DURATION, labels: [...DURATION.labels, 'cpu'] }],
};

function createFunctionGraph(context: ProbeContext, options: FunctionGraphOptions): Probe {
  // One more than asked for: `unknown` takes no function's place.
  const inFamily = { ...options, max_series: options.max_series + 1 };
  const durations = declareDurations(context, DURATION, inFamily, (row) => [rows.names[row]]);
  const rows = new FunctionRows(context.functions, options.max_series, () => {
    durations.family.table.overflows++;
  });
  const late = context.unmatched('late');
  const tooDeep = context.unmatched('too_deep');
  const overruns = new Overruns();
  const caller = functionCaller(context, RETURN, 'func');
  const pidAt = context.word(RETURN, 'common_pid');
  const calledAt = context.word(RETURN, 'calltime');
  const returnedAt = context.word(RETURN, 'rettime');
  const overrunAt = context.word(RETURN, 'overrun');
  return {
    handlers: {
      [RETURN]: (record) => {
        const { words, cpu } = record;
        const at = record.offset >> 2;
        if (caller.isOurs(record)) return;
        const overrun = words[at + overrunAt];
        if (overrun !== 0) tooDeep(overruns.growth(words[at + pidAt], overrun >>> 0));
        // Halves are subtracted apart: the stamps themselves are more than a double holds.
        const high = (words[at + returnedAt + 1] >>> 0) - (words[at + calledAt + 1] >>> 0);
        const ns = high * TWO_POW_32 + ((words[at + returnedAt] >>> 0) - (words[at + calledAt] >>> 0));
        if (ns >= 0 && ns < ABSURD_NS) {
          durations.record(rows.row(caller.low(record), caller.high(record)), cpu, ns);
        } else {
          late();
        }
      },
    },
    sweep: () => rows.refresh(),
  };
}
