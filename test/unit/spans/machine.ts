/**
 * Simulates a machine with two CPUs. A test feeds events, probes make intervals of them, and `end` returns the trace of
 * one call. Times are in milliseconds since the call began.
 */
import assert from 'node:assert/strict';
import type { BlockRequest } from '../../../src/model/intervals.ts';
import type { SpanRecord, TraceRecord } from '../../../src/model/span.ts';
import { taskIntervals } from '../../../src/probes/helpers/task-intervals.ts';
import { makeSpans } from '../../../src/spans/spans.ts';
import { run } from '../probes/records.ts';
import { problemsOf, testDeps } from './deps.ts';
import { config, MS, PID, request } from './intervals.ts';

const START = 1e9;
export const HARDIRQ = 0x08;
export const SOFTIRQ = 0x10;
/** The task that makes the call is on CPU 0. */
export const ME = PID;

export function machine() {
  const spans = makeSpans(config({ syscalls: { thresholdNs: 1, include: ['*'] } }), testDeps(), 0);
  const { sinks } = spans;
  const functions = {
    nameOf: (low: number, high: number) => (high === 7 ? `work_${low}` : undefined),
    generation: 1,
  };
  const probe = run(taskIntervals, { also: ['workqueue', 'locks'] }, { intervals: sinks, functions });
  sinks.syscalls?.watch((pid) => (pid === ME ? START : 0));
  const ns = (ms: number) => START + Math.round(ms * MS);
  const feed = (event: string, ms: number, fields: object) => probe.feed(event, { ts: ns(ms), ...fields });
  const names = new Map<number, string>();
  const nameOf = (pid: number) => names.get(pid) ?? `t${pid}`;
  const m = {
    name: (pid: number, name: string) => names.set(pid, name),
    feed,
    /** A CPU switches from task `prev` to `next` (0: the idle task). `state` of `prev`: 0 if it is still runnable. */
    switch: (ms: number, cpu: number, prev: number, state: number, next: number) =>
      feed('sched:sched_switch', ms, {
        cpu,
        prev_pid: prev,
        prev_comm: nameOf(prev),
        prev_state: state,
        next_pid: next,
        next_prio: 120,
        next_comm: nameOf(next),
      }),
    /** Task `by`, which is running on `cpu`, wakes a task. With `flags`, an interrupt of `by` wakes it. */
    wake: (ms: number, pid: number, by: number, cpu: number, target = 0, flags = 0) => {
      feed('sched:sched_waking', ms, { cpu, pid, by, flags, target_cpu: target });
      feed('sched:sched_wakeup', ms, { cpu, pid, target_cpu: target });
    },
    /** Calls `happens`, which wakes a task, within an interrupt handler or a timer function on CPU 0. */
    interrupt: (ms: number, what: 'irq' | 'timer', upon: number, happens: () => void) => {
      if (what === 'irq') feed('irq:irq_handler_entry', ms, { irq: 24, name: 'virtio0-req.0' });
      else feed('timer:hrtimer_expire_entry', ms, { flags: HARDIRQ, by: upon });
      happens();
      if (what === 'irq') feed('irq:irq_handler_exit', ms, { irq: 24 });
      else feed('timer:hrtimer_expire_exit', ms, { flags: HARDIRQ, by: upon });
    },
    /** A kworker begins to run a function. `number` is the low word of its address. */
    work: (ms: number, pid: number, number: number) =>
      feed('workqueue:workqueue_execute_start', ms, { by: pid, function: (7n << 32n) | BigInt(number) }),
    request: (issueMs: number, completeMs: number, over: Partial<BlockRequest>) =>
      sinks.block?.ended(
        request({ device: 'vda', issueNs: ns(issueMs), completeNs: ns(completeMs), cpu: 0, ...over }),
      ),
    lose: (ms: number, cpu = 0) => probe.probe.onLoss?.(cpu, ns(ms)),
    /** Ends the call and returns its trace. `lostMs`: end of the last loss during the call. */
    end: (name: string, ms: number, lostMs?: number): TraceRecord => {
      sinks.syscalls?.ended(name, ME, 0, START, ns(ms), 0, lostMs === undefined ? 0 : ns(lostMs));
      const [trace] = spans.take(1000);
      assert.deepEqual(problemsOf(trace), []);
      return trace;
    },
  };
  return m;
}

export function summaryOf({ spans: [root] }: TraceRecord): string {
  return String(root.attributes['ftrace.summary']);
}

export function ratioOf({ spans: [root] }: TraceRecord): number {
  return Number(root.attributes['ftrace.explained_ratio']);
}

/** The spans below the root, one per line: name, task or device, milliseconds. Indented by depth. */
export function treeOf({ spans }: TraceRecord): string[] {
  const lines: string[] = [];
  const add = (parent: SpanRecord, depth: number): void => {
    for (const span of spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId)) {
      const { name, durationNs, attributes } = span;
      const who = attributes['thread.name'] ?? attributes['system.device'] ?? '';
      lines.push(`${'  '.repeat(depth)}${`${name} ${who}`.trim()} ${Number((durationNs / MS).toFixed(3))}`);
      add(span, depth + 1);
    }
  };
  add(spans[0], 0);
  return lines;
}
