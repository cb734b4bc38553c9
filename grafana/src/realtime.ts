/** Real-time CPUs: timerlat, osnoise, hwlat and the latency tracers. */
import { type Board, CLUSTER, ONE_NODE } from './board.ts';
import { CHOSEN, heatmap, lines, quantile, SHOULD_BE_ZERO } from './panels.ts';

const CPUS = `${CHOSEN},cpu=~"$cpu"`;
const TIMERLAT = 'ftrace_timerlat_latency_seconds';
const measured = `{__name__=~"ftrace_timerlat_latency_seconds_count|ftrace_osnoise_runtime_seconds_total|ftrace_hwlat_latency_seconds_count",cluster=~"$cluster",instance=~"$node"}`;

export const realtimeBoard: Board = {
  uid: 'ftrace-realtime',
  title: 'ftrace / Real-time CPUs',
  description:
    'How late timers fire, and what uses the CPUs instead, if timerlat, osnoise, hwlat or a latency tracer is on.',
  choices: [CLUSTER, ONE_NODE, { name: 'cpu', label: 'cpu', of: measured }],
  rows: [
    {
      title: 'Timers (probe timerlat)',
      panels: [
        heatmap({
          title: 'Interrupt latency',
          description: 'From the planned time of the timer to its interrupt.',
          needs: 'timerlat',
          unit: 's',
          metric: TIMERLAT,
          selector: `${CPUS},context="irq"`,
        }),
        heatmap({
          title: 'Thread latency',
          description: 'From the planned time of the timer to its thread; includes the interrupt latency.',
          needs: 'timerlat',
          unit: 's',
          metric: TIMERLAT,
          selector: `${CPUS},context="thread"`,
        }),
        lines({
          title: 'Longest latency by CPU',
          levels: { bad: 100e-6 },
          description:
            'The longest within max_window, by CPU and context. Real-time applications depend on this value.',
          needs: 'timerlat',
          unit: 's',
          queries: [
            {
              expr: `max by (cpu, context) (ftrace_timerlat_max_latency_seconds{${CPUS}})`,
              legend: 'CPU {{cpu}} {{context}}',
            },
          ],
        }),
        lines({
          title: 'p99.9 by CPU',
          description: 'One in a thousand activations is as late or later.',
          needs: 'timerlat',
          unit: 's',
          log: true,
          queries: [
            {
              expr: quantile(0.999, TIMERLAT, CPUS, 'cpu', 'context'),
              legend: 'CPU {{cpu}} {{context}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Noise (probe osnoise)',
      panels: [
        lines({
          title: 'Noise by CPU',
          levels: { warning: 1e-3, bad: 10e-3 },
          description: 'Share of the watched time during which something else used the CPU.',
          needs: 'osnoise',
          unit: 'percentunit',
          queries: [
            {
              expr: `instance_cpu:ftrace_osnoise_noise:ratio_rate5m{${CPUS}}`,
              legend: 'CPU {{cpu}}',
            },
          ],
        }),
        lines({
          title: 'Interference by source',
          description:
            'Share of the watched time that each kind of interference took. hw: a gap without a known cause.',
          needs: 'osnoise',
          unit: 'percentunit',
          stacked: true,
          queries: [
            {
              expr: `sum by (source) (rate(ftrace_osnoise_interference_seconds_sum{${CPUS}}[$__rate_interval])) / on () group_left () sum(rate(ftrace_osnoise_runtime_seconds_total{${CPUS}}[$__rate_interval]))`,
              legend: '{{source}}',
            },
          ],
        }),
        lines({
          title: 'Longest single noise by CPU',
          description: 'The longest within max_window.',
          needs: 'osnoise',
          unit: 's',
          queries: [
            {
              expr: `max by (cpu) (ftrace_osnoise_max_single_noise_seconds{${CPUS}})`,
              legend: 'CPU {{cpu}}',
            },
          ],
        }),
        lines({
          title: 'Interferences by source',
          description: 'Interferences per second, by source.',
          needs: 'osnoise',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (source) (rate(ftrace_osnoise_interference_seconds_count{${CPUS}}[$__rate_interval]))`,
              legend: '{{source}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Hardware (probe hwlat)',
      panels: [
        lines({
          title: 'Windows with a gap',
          levels: SHOULD_BE_ZERO,
          description: 'Windows per second in which the hardware stopped the CPU. Should be 0.',
          needs: 'hwlat',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (cpu, loop) (rate(ftrace_hwlat_latency_seconds_count{${CPUS}}[$__rate_interval]))`,
              legend: 'CPU {{cpu}} {{loop}}',
            },
          ],
        }),
        lines({
          title: 'Length of gaps, p99',
          description: 'The longest gap of a window: one window in a hundred has one as long or longer.',
          needs: 'hwlat',
          unit: 's',
          queries: [
            {
              expr: quantile(0.99, 'ftrace_hwlat_latency_seconds', CPUS, 'cpu', 'loop'),
              legend: 'CPU {{cpu}} {{loop}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Worst cases of the node, all CPUs (latency tracers)',
      panels: [
        lines({
          title: 'Longest latency by tracer',
          description: 'The longest within max_window; /api/v1/latency/TRACER of the node has its trace.',
          needs: { words: 'No data: needs a latency tracer (wakeup, irqsoff, …) in the agent’s config' },
          unit: 's',
          queries: [
            {
              expr: `max by (tracer) (ftrace_latency_tracer_max_seconds{${CHOSEN}})`,
              legend: '{{tracer}}',
            },
          ],
        }),
        lines({
          title: 'New worst cases',
          description:
            'Number of times per hour that a tracer saw a new longest latency. Shows that something is slow, not how often.',
          needs: { words: 'No data: needs a latency tracer (wakeup, irqsoff, …) in the agent’s config' },
          unit: 'short',
          queries: [
            {
              expr: `sum by (tracer) (increase(ftrace_latency_tracer_records_total{${CHOSEN}}[1h]))`,
              legend: '{{tracer}}',
            },
          ],
        }),
      ],
    },
  ],
};
