/** Records of latency tracers, with the header of a trace as kernel 7.3 writes it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSpans } from '../../../src/spans/spans.ts';
import { testDeps } from './deps.ts';

const TRACE = `# tracer: wakeup_rt
#
# wakeup_rt latency trace v1.1.5 on 7.3
# --------------------------------------------------------------------
# latency: 504 us, #6/6, CPU#1 | (M:preempt_rt VP:0, KP:0, SP:0 HP:0 #P:2)
#    -----------------
#    | task: irq/25-virtio0--123 (uid:0 nice:0 policy:1 rt_prio:50)
#    -----------------
`;

test('a record over the threshold is a span of that length, which ends when it was noticed', () => {
  const kinds = { wakeup_rt: { thresholdNs: 100_000 }, irqsoff: { thresholdNs: 1_000_000 } };
  const spans = makeSpans({ maxTracesPerSecond: 100, containers: false, kinds }, testDeps(), 0);
  const sink = spans.sinks.latency;
  sink?.record('wakeup_rt', 504_000, TRACE);
  sink?.record('wakeup_rt', 99_000, TRACE);
  sink?.record('irqsoff', 504_000, TRACE);
  sink?.record('wakeup', 504_000, TRACE);
  sink?.record('irqsoff', 2_000_000, '');
  const traces = spans.take(1000);
  assert.deepEqual(
    traces.map(({ kind, spans: [root, ...more] }) => [
      kind,
      root.name,
      root.durationNs,
      root.end,
      more.length,
      root.attributes,
    ]),
    [
      [
        'wakeup_rt',
        'wakeup_rt latency',
        504_000,
        [5, 0],
        0,
        {
          'ftrace.tracer': 'wakeup_rt',
          'ftrace.end_is_when_noticed': true,
          'cpu.logical_number': 1,
          'ftrace.thread.id': 123,
          'thread.name': 'irq/25-virtio0-',
        },
      ],
      [
        'irqsoff',
        'irqsoff latency',
        2_000_000,
        [5, 0],
        0,
        { 'ftrace.tracer': 'irqsoff', 'ftrace.end_is_when_noticed': true },
      ],
    ],
  );
});
