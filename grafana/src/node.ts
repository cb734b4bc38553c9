/** Node: run queue, soft and hard interrupts, disks and syscalls of a node; heatmaps beside what each CPU does. */
import { type Board, CLUSTER, NODE, type Row } from './board.ts';
import { bars, CHOSEN, heatmap, lines, quantile } from './panels.ts';

const CPUS = `${CHOSEN},cpu=~"$cpu"`;
const DISKS = `${CHOSEN},device=~"$device"`;
const byCpu = (metric: string, more = '') =>
  `sum by (cluster, instance, cpu${more}) (rate(${metric}{${CPUS}}[$__rate_interval]))`;
const CPU_LEGEND = '{{instance}} CPU {{cpu}}';

const runQueue: Row = {
  title: 'Run queue (probe sched)',
  panels: [
    heatmap({
      title: 'Waits for a CPU',
      description: 'From runnable to running, by how long it took. Colour: how many waits.',
      unit: 's',
      metric: 'ftrace_sched_runqueue_latency_seconds',
      selector: CHOSEN,
    }),
    lines({
      title: 'Tasks waiting, by CPU',
      description: 'Seconds of waiting a second: how many tasks waited for this CPU on average.',
      unit: 'short',
      queries: [{ expr: byCpu('ftrace_sched_runqueue_wait_seconds_total'), legend: CPU_LEGEND }],
    }),
    lines({
      title: 'Waits for a CPU, quantiles',
      description: 'Half, and one in a hundred, of the waits are as long or longer.',
      unit: 's',
      log: true,
      width: 8,
      queries: [
        {
          expr: quantile(0.5, 'ftrace_sched_runqueue_latency_seconds', CHOSEN, 'cluster', 'instance'),
          legend: '{{instance}} p50',
        },
        {
          expr: quantile(0.99, 'ftrace_sched_runqueue_latency_seconds', CHOSEN, 'cluster', 'instance'),
          legend: '{{instance}} p99',
        },
      ],
    }),
    lines({
      title: 'Switches by CPU',
      description: 'Tasks switched out a second: voluntary went to sleep, preempted could have gone on.',
      unit: 'ops',
      width: 8,
      queries: [{ expr: byCpu('ftrace_sched_switches_total', ', kind'), legend: `${CPU_LEGEND} {{kind}}` }],
    }),
    lines({
      title: 'Wake-ups by CPU, migrations',
      description: 'Tasks woken a second by the CPU they were put on, and tasks moved to another CPU.',
      unit: 'ops',
      width: 8,
      queries: [
        { expr: byCpu('ftrace_sched_wakeups_total'), legend: CPU_LEGEND },
        {
          expr: `sum by (cluster, instance) (rate(ftrace_sched_migrations_total{${CHOSEN}}[$__rate_interval]))`,
          legend: '{{instance}} migrations',
        },
      ],
    }),
  ],
};

const softInterrupts: Row = {
  title: 'Soft interrupts (probe softirq)',
  panels: [
    heatmap({
      title: 'From raise to start',
      description: 'How late soft interrupts start, all vectors.',
      unit: 's',
      metric: 'ftrace_softirq_latency_seconds',
      selector: CHOSEN,
    }),
    lines({
      title: 'Time in soft interrupts, by CPU',
      description: 'Share of each CPU. One that stands out has all the network’s interrupts.',
      unit: 'percentunit',
      queries: [{ expr: byCpu('ftrace_softirq_seconds_total'), legend: CPU_LEGEND }],
    }),
    lines({
      title: 'Late starts by vector, p99',
      description: 'One in a hundred starts as late or later after it was raised.',
      unit: 's',
      log: true,
      queries: [
        { expr: quantile(0.99, 'ftrace_softirq_latency_seconds', CHOSEN, 'vector'), legend: '{{vector}}' },
      ],
    }),
    lines({
      title: 'Durations by vector, p99',
      description: 'One in a hundred runs as long or longer, hard interrupts in between included.',
      unit: 's',
      log: true,
      queries: [
        { expr: quantile(0.99, 'ftrace_softirq_duration_seconds', CHOSEN, 'vector'), legend: '{{vector}}' },
      ],
    }),
  ],
};

const interrupts: Row = {
  title: 'Interrupts (probe irq)',
  panels: [
    heatmap({
      title: 'Durations of handlers',
      description: 'How long interrupt handlers run, all devices.',
      unit: 's',
      metric: 'ftrace_irq_duration_seconds',
      selector: CHOSEN,
    }),
    lines({
      title: 'Time in handlers, by CPU',
      description: 'Share of each CPU in interrupt handlers.',
      unit: 'percentunit',
      queries: [{ expr: byCpu('ftrace_irq_seconds_total'), legend: CPU_LEGEND }],
    }),
    lines({
      title: 'Durations by handler, p99',
      description: 'One in a hundred runs as long or longer.',
      unit: 's',
      log: true,
      queries: [
        { expr: quantile(0.99, 'ftrace_irq_duration_seconds', CHOSEN, 'handler'), legend: '{{handler}}' },
      ],
    }),
    lines({
      title: 'Interrupts by CPU',
      description: 'Handlers started a second.',
      unit: 'ops',
      queries: [{ expr: byCpu('ftrace_irqs_total'), legend: CPU_LEGEND }],
    }),
  ],
};

const disks: Row = {
  title: 'Disks (probes block, blk)',
  panels: [
    heatmap({
      title: 'In the queue',
      description: 'From insert to issue: waiting in the I/O scheduler. Disks without one have none.',
      unit: 's',
      metric: 'ftrace_block_io_queue_seconds',
      selector: DISKS,
    }),
    heatmap({
      title: 'In the device',
      description: 'From issue to completion: what the disk itself takes.',
      unit: 's',
      metric: 'ftrace_block_io_device_seconds',
      selector: DISKS,
    }),
    lines({
      title: 'In the device, p99',
      description: 'One in a hundred requests takes as long or longer.',
      unit: 's',
      log: true,
      width: 8,
      queries: [
        {
          expr: quantile(
            0.99,
            'ftrace_block_io_device_seconds',
            DISKS,
            'cluster',
            'instance',
            'device',
            'operation',
          ),
          legend: '{{instance}} {{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Requests',
      description: 'Requests completed a second.',
      unit: 'iops',
      width: 8,
      queries: [
        {
          expr: `sum by (cluster, instance, device, operation) (rate(ftrace_block_io_device_seconds_count{${DISKS}}[$__rate_interval]))`,
          legend: '{{instance}} {{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Throughput',
      description: 'Bytes completed a second.',
      unit: 'Bps',
      width: 8,
      queries: [
        {
          expr: `sum by (cluster, instance, device, operation) (rate(ftrace_block_io_bytes_total{${DISKS}}[$__rate_interval]))`,
          legend: '{{instance}} {{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Errors',
      description: 'Completions a second with an error. Should be 0.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum by (cluster, instance, device, operation) (rate(ftrace_block_io_errors_total{${DISKS}}[$__rate_interval]))`,
          legend: '{{instance}} {{device}} {{operation}}',
        },
      ],
    }),
    lines({
      title: 'Actions of the block layer',
      description: 'In the words of blkparse, a second. Needs the probe blk.',
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
      title: 'From being asked to completion, p99',
      description:
        'Of I/O as it was asked for, merging and splitting included, and of what the driver got. Needs the probe blk.',
      unit: 's',
      log: true,
      width: 8,
      queries: [
        {
          expr: quantile(0.99, 'ftrace_blk_queue_to_complete_seconds', DISKS, 'device', 'operation'),
          legend: '{{device}} {{operation}} asked',
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
      description: 'Fifteen syscalls by seconds a second, without those that wait by nature.',
      unit: 's',
      width: 8,
      query: {
        expr: syscallTop('ftrace_syscall_duration_seconds_sum:rate5m', 'working'),
        legend: '{{syscall}}',
      },
    }),
    bars({
      title: 'Slowest, p99',
      description: 'Fifteen syscalls by p99, without those that wait by nature.',
      unit: 's',
      width: 8,
      query: {
        expr: syscallTop('ftrace_syscall_duration_seconds:p99_rate5m', 'working'),
        legend: '{{syscall}}',
      },
    }),
    bars({
      title: 'Waiting by nature',
      description: 'futex, epoll_wait and their like: how many threads wait in each. Not slowness.',
      unit: 'short',
      width: 8,
      query: {
        expr: syscallTop('ftrace_syscall_duration_seconds_sum:rate5m', 'waiting'),
        legend: '{{syscall}}',
      },
    }),
    lines({
      title: 'Calls',
      description: 'Calls a second, the fifteen most frequent.',
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
        'Calls a second that returned an error, the fifteen most frequent. EAGAIN and ENOENT are everyday.',
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
      description: 'Events named in the config, a second, by event and CPU.',
      unit: 'eps',
      width: 24,
      queries: [{ expr: byCpu('ftrace_events_total', ', event'), legend: `{{event}} ${CPU_LEGEND}` }],
    }),
  ],
};

export const nodeBoard: Board = {
  uid: 'ftrace-node',
  title: 'ftrace / Node',
  description: 'Run queue, soft and hard interrupts, disks and syscalls of a node.',
  choices: [
    CLUSTER,
    NODE,
    { name: 'cpu', label: 'cpu', of: `ftrace_sched_wakeups_total{${CHOSEN}}` },
    { name: 'device', label: 'device', of: `ftrace_block_io_device_seconds_count{${CHOSEN}}` },
  ],
  rows: [runQueue, softInterrupts, interrupts, disks, syscalls, events],
};
