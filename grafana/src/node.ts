/**
 * Node: one node's run queue, soft and hard interrupts, disks and syscalls. Most panels show
 * all CPUs together. Differences between CPUs have a row of their own, as bars of the current values: with a line per CPU
 * there would be hundreds on a large node.
 */
import { type Board, CLUSTER, ONE_NODE, type Row } from './board.ts';
import {
  AGENT_URL,
  bars,
  CHOSEN,
  heatmap,
  lines,
  quantile,
  SECONDS_PER_SECOND,
  SHOULD_BE_ZERO,
  text,
} from './panels.ts';

const DISKS = `${CHOSEN},device=~"$device"`;
const RUN_QUEUE = 'ftrace_sched_runqueue_latency_seconds';
/** As in the recording rule: tasks of the other scheduling classes accept to wait. */
const IMPATIENT = `${CHOSEN}, class!~"batch|idle"`;
const rate = (metric: string) => `rate(${metric}{${CHOSEN}}[$__rate_interval])`;
/** Mean over the node's CPUs, and the CPU with the highest value. */
const meanAndMost = (metric: string) => {
  const perCpu = `sum by (cpu) (${rate(metric)})`;
  return [
    { expr: `avg(${perCpu})`, legend: 'mean of all CPUs' },
    { expr: `max(${perCpu})`, legend: 'busiest CPU' },
  ];
};
const CPUS_SHOWN = 16;
const mostByCpu = (metric: string) => [
  { expr: `topk(${CPUS_SHOWN}, sum by (cpu) (${rate(metric)}))`, legend: 'CPU {{cpu}}' },
];
const slowest = (rule: string, more = '') => `max(${rule}{${CHOSEN}${more}} >= 0)`;

const KINDS = {
  sched: 'waits for a CPU',
  block: 'requests of disks',
  syscalls: 'syscalls',
  function_graph: 'kernel functions',
  timerlat: 'late timers',
  osnoise: 'noise on CPUs',
};
const slowNow: Row = {
  title: 'Slowest now',
  panels: [
    bars({
      title: 'Slowest now, p99',
      description:
        'p99 of the slowest vector, handler, disk and syscall within five minutes: one operation in a hundred took as long or longer. Bars end at 100 ms. A click opens the agent’s list of slow operations.',
      unit: 's',
      width: 14,
      levels: { warning: 10e-3, bad: 50e-3 },
      needs: { words: 'No data: are the recording rules loaded?' },
      // Longer bars are cut off, so that one of them does not make the others invisible.
      max: 100e-3,
      linkTo: 'agent',
      queries: [
        { expr: slowest(`instance:${RUN_QUEUE}:p99_rate5m`), legend: 'wait for a CPU' },
        {
          expr: slowest(
            'instance_device_operation:ftrace_block_io_device_seconds:p99_rate5m',
            ',operation=~"read|write"',
          ),
          legend: 'request in a disk',
        },
        {
          expr: slowest('instance_vector:ftrace_softirq_latency_seconds:p99_rate5m'),
          legend: 'start of a soft interrupt',
        },
        {
          expr: slowest('instance_handler:ftrace_irq_duration_seconds:p99_rate5m'),
          legend: 'interrupt handler',
        },
        {
          expr: slowest('instance_syscall:ftrace_syscall_duration_seconds:p99_rate5m', ',class="working"'),
          legend: 'syscall',
        },
      ],
    }),
    text({
      title: 'Single slow operations, from the agent',
      description:
        'Links to the agent of the node. Its port must be reachable, and its config must have spans.kinds.',
      width: 10,
      content: [
        `- [Landing page, with the slowest as waterfalls](${AGENT_URL}/)`,
        ...Object.entries(KINDS).map(
          ([kind, words]) => `- [Slow ${words} (${kind})](${AGENT_URL}/api/v1/slow?kind=${kind}&limit=20)`,
        ),
        `- [Status: probes, buffers, losses](${AGENT_URL}/api/v1/status)`,
      ].join('\n'),
    }),
  ],
};

const runQueue: Row = {
  title: 'Run queue, all CPUs (probe sched)',
  panels: [
    heatmap({
      title: 'Waits for a CPU',
      description: 'Time from runnable to running, all CPUs and scheduling classes. Colour: number of waits.',
      unit: 's',
      needs: 'sched',
      metric: RUN_QUEUE,
      selector: CHOSEN,
    }),
    lines({
      title: 'Waits for a CPU, quantiles',
      description:
        'Half, and one in a hundred, of the waits on all CPUs are as long or longer. Without tasks of the classes batch and idle, as in the alerts.',
      unit: 's',
      needs: 'sched',
      log: true,
      levels: { warning: 10e-3, bad: 50e-3 },
      queries: [
        { expr: quantile(0.5, RUN_QUEUE, IMPATIENT), legend: 'p50' },
        { expr: quantile(0.99, RUN_QUEUE, IMPATIENT), legend: 'p99' },
      ],
    }),
    lines({
      title: 'Waiting per CPU',
      description:
        'Seconds that tasks waited for a CPU in each second, which is the average number of waiting tasks: mean over the CPUs, and the CPU with the longest waits.',
      unit: SECONDS_PER_SECOND,
      needs: 'sched',
      width: 8,
      queries: meanAndMost('ftrace_sched_runqueue_wait_seconds_total'),
    }),
    lines({
      title: 'Switches',
      description:
        'Tasks switched out per second, all CPUs. voluntary: went to sleep; preempted: was still able to run.',
      unit: 'ops',
      needs: 'sched',
      width: 8,
      queries: [{ expr: `sum by (kind) (${rate('ftrace_sched_switches_total')})`, legend: '{{kind}}' }],
    }),
    lines({
      title: 'Wake-ups, migrations',
      description: 'Tasks woken per second, and tasks moved to another CPU, all CPUs.',
      unit: 'ops',
      needs: 'sched',
      width: 8,
      queries: [
        { expr: `sum(${rate('ftrace_sched_wakeups_total')})`, legend: 'wake-ups' },
        { expr: `sum(${rate('ftrace_sched_migrations_total')})`, legend: 'migrations' },
      ],
    }),
  ],
};

const softInterrupts: Row = {
  title: 'Soft interrupts, all CPUs (probe softirq)',
  panels: [
    heatmap({
      title: 'From raise to start',
      description: 'How late soft interrupts start, all vectors and CPUs.',
      unit: 's',
      needs: 'softirq',
      metric: 'ftrace_softirq_latency_seconds',
      selector: CHOSEN,
    }),
    lines({
      title: 'Late starts by vector, p99',
      description: 'One in a hundred starts as late or later after it was raised, all CPUs.',
      unit: 's',
      needs: 'softirq',
      log: true,
      levels: { bad: 5e-3 },
      queries: [
        { expr: quantile(0.99, 'ftrace_softirq_latency_seconds', CHOSEN, 'vector'), legend: '{{vector}}' },
      ],
    }),
    lines({
      title: 'Time in soft interrupts per CPU',
      description:
        'Share of a CPU: mean over the CPUs, and the busiest CPU. If they are far apart, one CPU may handle all network traffic.',
      unit: 'percentunit',
      needs: 'softirq',
      levels: { bad: 0.2 },
      queries: meanAndMost('ftrace_softirq_seconds_total'),
    }),
    lines({
      title: 'Durations by vector, p99',
      description: 'One in a hundred runs as long or longer, all CPUs. Includes hard interrupts in between.',
      unit: 's',
      needs: 'softirq',
      log: true,
      queries: [
        { expr: quantile(0.99, 'ftrace_softirq_duration_seconds', CHOSEN, 'vector'), legend: '{{vector}}' },
      ],
    }),
  ],
};

const interrupts: Row = {
  title: 'Interrupts, all CPUs (probe irq)',
  panels: [
    heatmap({
      title: 'Durations of handlers',
      description: 'How long interrupt handlers run, all devices and CPUs.',
      unit: 's',
      needs: 'irq',
      metric: 'ftrace_irq_duration_seconds',
      selector: CHOSEN,
    }),
    lines({
      title: 'Durations by handler, p99',
      description: 'One in a hundred runs as long or longer, all CPUs; the fifteen longest.',
      unit: 's',
      needs: 'irq',
      log: true,
      queries: [
        {
          expr: `topk(15, ${quantile(0.99, 'ftrace_irq_duration_seconds', CHOSEN, 'handler')} >= 0)`,
          legend: '{{handler}}',
        },
      ],
    }),
    lines({
      title: 'Time in handlers per CPU',
      description: 'Share of a CPU in interrupt handlers: mean over the CPUs, and the busiest CPU.',
      unit: 'percentunit',
      needs: 'irq',
      queries: meanAndMost('ftrace_irq_seconds_total'),
    }),
    lines({
      title: 'Interrupts per CPU',
      description: 'Handlers started per second: mean over the CPUs, and the CPU with the most.',
      unit: 'ops',
      needs: 'irq',
      queries: meanAndMost('ftrace_irqs_total'),
    }),
  ],
};

const byCpu: Row = {
  title: 'CPUs compared, now',
  panels: [
    bars({
      title: 'Waiting, by CPU',
      description: 'Seconds that tasks waited in each second; the sixteen CPUs with the longest waits.',
      unit: SECONDS_PER_SECOND,
      needs: 'sched',
      width: 8,
      queries: mostByCpu('ftrace_sched_runqueue_wait_seconds_total'),
    }),
    bars({
      title: 'Time in soft interrupts, by CPU',
      description: 'Share of the CPU; the sixteen busiest CPUs.',
      unit: 'percentunit',
      needs: 'softirq',
      width: 8,
      levels: { bad: 0.2 },
      queries: mostByCpu('ftrace_softirq_seconds_total'),
    }),
    bars({
      title: 'Time in handlers, by CPU',
      description: 'Share of the CPU; the sixteen busiest CPUs.',
      unit: 'percentunit',
      needs: 'irq',
      width: 8,
      queries: mostByCpu('ftrace_irq_seconds_total'),
    }),
  ],
};

const disks: Row = {
  title: 'Disks (probes block, blk)',
  panels: [
    heatmap({
      title: 'In the queue',
      description:
        'Time from insert to issue: waiting in the I/O scheduler. Disks without a scheduler have no data.',
      needs: 'block',
      unit: 's',
      metric: 'ftrace_block_io_queue_seconds',
      selector: DISKS,
    }),
    heatmap({
      title: 'In the device',
      description: 'Time from issue to completion: how long the disk itself takes.',
      needs: 'block',
      unit: 's',
      metric: 'ftrace_block_io_device_seconds',
      selector: DISKS,
    }),
    lines({
      title: 'In the device, p99',
      levels: { bad: 100e-3 },
      description: 'One in a hundred requests takes as long or longer, by disk and operation.',
      needs: 'block',
      unit: 's',
      log: true,
      width: 8,
      queries: [
        {
          expr: quantile(0.99, 'ftrace_block_io_device_seconds', DISKS, 'device', 'operation'),
          legend: '{{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Requests',
      description: 'Requests completed per second.',
      needs: 'block',
      unit: 'iops',
      width: 8,
      queries: [
        {
          expr: `sum by (device, operation) (rate(ftrace_block_io_device_seconds_count{${DISKS}}[$__rate_interval]))`,
          legend: '{{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Throughput',
      description: 'Bytes completed per second.',
      needs: 'block',
      unit: 'Bps',
      width: 8,
      queries: [
        {
          expr: `sum by (device, operation) (rate(ftrace_block_io_bytes_total{${DISKS}}[$__rate_interval]))`,
          legend: '{{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Errors',
      levels: SHOULD_BE_ZERO,
      description: 'Completions with an error per second. Should be 0.',
      needs: 'block',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum by (device, operation) (rate(ftrace_block_io_errors_total{${DISKS}}[$__rate_interval]))`,
          legend: '{{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Actions of the block layer',
      description: 'Actions per second, named as in blkparse.',
      needs: 'blk',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum by (device, action) (rate(ftrace_blk_actions_total{${DISKS}}[$__rate_interval]))`,
          legend: '{{device}} {{action}}',
        },
      ],
    }),
    lines({
      title: 'From request to completion, p99',
      description:
        'requested: I/O as programs requested it, including merging and splitting; issued: requests that the driver got.',
      needs: 'blk',
      unit: 's',
      log: true,
      width: 8,
      queries: [
        {
          expr: quantile(0.99, 'ftrace_blk_queue_to_complete_seconds', DISKS, 'device', 'operation'),
          legend: '{{device}} {{operation}} requested',
        },
        {
          expr: quantile(0.99, 'ftrace_blk_issue_to_complete_seconds', DISKS, 'device', 'operation'),
          legend: '{{device}} {{operation}} issued',
        },
      ],
    }),
  ],
};

const syscallTop = (rule: string, kind: string) =>
  `topk(15, max by (syscall) (instance_syscall:${rule}{class="${kind}",${CHOSEN}} >= 0))`;

const syscalls: Row = {
  title: 'Syscalls (probe syscalls)',
  panels: [
    bars({
      title: 'Most time',
      description:
        'The fifteen syscalls with the most seconds spent in each second, without syscalls that wait by nature.',
      needs: 'syscalls',
      unit: SECONDS_PER_SECOND,
      width: 8,
      queries: [
        {
          expr: syscallTop('ftrace_syscall_duration_seconds_sum:rate5m', 'working'),
          legend: '{{syscall}}',
        },
      ],
    }),
    bars({
      title: 'Slowest, p99',
      levels: { warning: 10e-3, bad: 100e-3 },
      description: 'The fifteen syscalls with the highest p99, without syscalls that wait by nature.',
      needs: 'syscalls',
      unit: 's',
      width: 8,
      queries: [
        {
          expr: syscallTop('ftrace_syscall_duration_seconds:p99_rate5m', 'working'),
          legend: '{{syscall}}',
        },
      ],
    }),
    bars({
      title: 'Waiting by nature',
      description:
        'futex, epoll_wait and similar syscalls: seconds waited in each second, which is the number of waiting threads. This is not slowness.',
      needs: 'syscalls',
      unit: SECONDS_PER_SECOND,
      width: 8,
      queries: [
        {
          expr: syscallTop('ftrace_syscall_duration_seconds_sum:rate5m', 'waiting'),
          legend: '{{syscall}}',
        },
      ],
    }),
    lines({
      title: 'Calls',
      description: 'Calls per second, the fifteen most frequent.',
      needs: 'syscalls',
      unit: 'cps',
      queries: [
        {
          expr: `topk(15, sum by (syscall) (rate(ftrace_syscall_duration_seconds_count{${CHOSEN}}[$__rate_interval])))`,
          legend: '{{syscall}}',
        },
      ],
    }),
    lines({
      title: 'Errors',
      description:
        'Calls per second that returned an error, the fifteen most frequent. EAGAIN and ENOENT are normal.',
      needs: 'syscalls',
      unit: 'cps',
      queries: [
        {
          expr: `topk(15, sum by (syscall, errno) (rate(ftrace_syscall_errors_total{${CHOSEN}}[$__rate_interval])))`,
          legend: '{{syscall}} {{errno}}',
        },
      ],
    }),
  ],
};

const events: Row = {
  title: 'Events counted (probe events)',
  panels: [
    lines({
      title: 'Events',
      description: 'Events named in the config, per second, all CPUs.',
      needs: 'events',
      unit: 'eps',
      width: 24,
      queries: [{ expr: `sum by (event) (${rate('ftrace_events_total')})`, legend: '{{event}}' }],
    }),
  ],
};

export const nodeBoard: Board = {
  uid: 'ftrace-node',
  title: 'ftrace / Node',
  description: 'Run queue, soft and hard interrupts, disks and syscalls of a node.',
  choices: [
    CLUSTER,
    ONE_NODE,
    { name: 'device', label: 'device', of: `ftrace_block_io_device_seconds_count{${CHOSEN}}` },
  ],
  linksToAgent: true,
  rows: [slowNow, runQueue, softInterrupts, interrupts, byCpu, disks, syscalls, events],
};
