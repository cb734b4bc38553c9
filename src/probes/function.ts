/**
 * How often are kernel functions called? Reads records of the function tracer (kernel/trace/trace_functions.c). The
 * field `ip` is an address at the start of the traced function, or a few bytes later.
 */
import { DEFAULT_BUCKETS } from '../config/units/buckets.ts';
import type { ValueFamily } from '../metrics/value.ts';
import type { EventHandler, UsualForm } from '../model/record.ts';
import { type FunctionCaller, functionCaller } from './names/function-caller.ts';
import {
  type FunctionOptions,
  functionFilter,
  functionKeys,
  functionNames,
  mustChoose,
} from './options/function-options.ts';
import type { Probe, ProbeContext, ProbeModule } from './probe.ts';
import { SlotCache } from './tables/slot-cache.ts';
import { ValueRows } from './tables/value-rows.ts';

const CALL = 'ftrace:function';

const CALLS = {
  name: 'ftrace_function_calls_total',
  help: 'Calls of a kernel function, by the CPU that ran the function.',
  labels: ['function', 'cpu'],
  open: ['function'],
};

export const functionCalls: ProbeModule<FunctionOptions> = {
  name: 'function',
  help: 'How often kernel functions are called.',
  byDefault: false,
  rate: 'high',
  inRecordings: { unfiltered: true },
  schema: (kit) =>
    kit
      .probeSchema(
        { enabled: false, per_cpu: false, max_series: 500, buckets: DEFAULT_BUCKETS },
        functionKeys(kit),
      )
      .refine(mustChoose.check, mustChoose.problem),
  tracer: (options) => ({
    tracer: 'function',
    where: 'instance',
    reads: 'events',
    // These options add records, make records longer, or combine several calls in one record.
    options: { func_stack_trace: '0', 'func-no-repeats': '0', 'func-args': '0' },
    knobs: [],
    functions: functionFilter(options, 1),
  }),
  needs: () => [{ event: CALL, fields: ['ip', 'common_pid', 'common_flags'], addresses: ['ip'] }],
  names: functionNames,
  create: createFunction,
  metrics: [CALLS],
};

/** The rows `unknown` and `other`. */
const ROWS_BESIDE = 2;
/** Series to make room for from the start, at most; 32 KiB. */
const MOST_RESERVED = 4096;

function createFunction(context: ProbeContext, options: FunctionOptions): Probe {
  // `unknown` needs a series in addition to the functions.
  const calls = context.metrics.counter({ ...CALLS, maxSeries: options.max_series + 1 });
  const rows = new ValueRows(context.functions, options.max_series, () => {
    calls.table.overflows++;
  });
  const slots = new SlotCache(context.cpuCount, (row, cpu) => calls.slot([rows.names[row], String(cpu)]));
  calls.reserve(Math.min((options.max_series + ROWS_BESIDE) * context.cpuCount, MOST_RESERVED));
  const caller = functionCaller(context, CALL, 'ip');
  const handler: EventHandler = (record) => {
    if (caller.isOurs(record)) return;
    calls.add(slots.at(rows.row(caller.low(record), caller.high(record)), record.cpu), 1);
  };
  if (caller.isWide) handler.usual = usualCall(context, caller, { calls, rows, slots });
  return {
    handlers: { [CALL]: handler },
    sweep: () => {
      rows.refresh();
      for (const row of rows.expired()) {
        slots.forget(row);
        calls.release('function', rows.names[row]);
      }
    },
  };
}

/** The fast path for calls of functions that were called on the same CPU before. */
function usualCall(
  { isSelf, word }: ProbeContext,
  { addressAt }: FunctionCaller,
  { calls, rows, slots }: { calls: ValueFamily; rows: ValueRows; slots: SlotCache },
): UsualForm {
  const pidAt = word(CALL, 'common_pid');
  return (words, at, _timestampNs, cpu) => {
    const row = rows.peek(words[at + addressAt], words[at + addressAt + 1]);
    if (row < 0 || isSelf(words[at + pidAt])) return false;
    const slot = slots.peek(row, cpu);
    if (slot < 0) return false;
    calls.values[slot] += 1;
    return true;
  };
}
