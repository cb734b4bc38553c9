/** Makes traces of new maxima of the latency tracers. A span ends when the agent notices the maximum: slightly late. */
import type { IntervalSinks } from '../model/intervals.ts';
import type { SpansConfig } from '../model/span.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';
import type { DraftAttributes } from './attributes.ts';
import type { SpanDeps } from './deps.ts';
import type { Offer } from './draft.ts';

/** print_trace_header() in kernel/trace/trace.c writes `#    | task: migration/1-32 (uid:0 nice:0 …)`. */
const TASK = /^# +\| task: (.*)-(\d+) \(uid:/m;
const CPU = /^# latency: .* CPU#(\d+) /m;
/** Maximum number of characters to search for the header, which is shorter than this. */
const HEADER_LENGTH = 2000;

export function makeLatencies(kinds: SpansConfig['kinds'], offer: Offer, deps: SpanDeps): IntervalSinks {
  if (!LATENCY_TRACERS.some((tracer) => kinds[tracer] !== undefined)) return {};
  return {
    latency: {
      record: (tracer, latencyNs, trace) => {
        const thresholdNs = kinds[tracer]?.thresholdNs ?? Number.POSITIVE_INFINITY;
        if (latencyNs < thresholdNs) return;
        offer(tracer, latencyNs, () => {
          const endNs = deps.now();
          const root = {
            name: `${tracer} latency`,
            startNs: endNs - latencyNs,
            endNs,
            attributes: {
              'ftrace.tracer': tracer,
              'ftrace.end_is_when_noticed': true,
              ...attributesOf(trace.slice(0, HEADER_LENGTH)),
            },
            children: [],
          };
          // The pid may belong to another task by now, so do not look up facts about it.
          return { root, pid: 0, pruned: 0, exemplars: [] };
        });
      },
    },
  };
}

function attributesOf(header: string): DraftAttributes {
  const [, comm, pid] = TASK.exec(header) ?? [];
  const [, cpu] = CPU.exec(header) ?? [];
  return {
    'cpu.logical_number': cpu === undefined ? undefined : Number(cpu),
    'ftrace.thread.id': pid === undefined ? undefined : Number(pid),
    'thread.name': comm,
  };
}
