/** Real-time CPUs: timerlat, osnoise, hwlat and the latency tracers. */
import { type Board, CLUSTER, NODE } from './board.ts';
import { CHOSEN, heatmap, lines, quantile } from './panels.ts';

const CPUS = `${CHOSEN},cpu=~"$cpu"`;
const TIMERLAT = 'ftrace_timerlat_latency_seconds';
const measured = `{__name__=~"ftrace_timerlat_latency_seconds_count|ftrace_osnoise_runtime_seconds_total|ftrace_hwlat_latency_seconds_count",cluster=~"$cluster",instance=~"$node"}`;

export const realtimeBoard: Board = {
  uid: 'ftrace-realtime',
  title: 'ftrace / Real-time CPUs',
  description:
    'How late timers come, and what takes CPUs away, where timerlat, osnoise, hwlat or a latency tracer is on.',
  choices: [CLUSTER, NODE, { name: 'cpu', label: 'cpu', of: measured }],
  rows: [
    {
      title: 'Timers (probe timerlat)',
      panels: [
        heatmap({
          title: 'Interrupt latency',
          description: 'From when the timer should have fired to its interrupt.',
          unit: 's',
          metric: TIMERLAT,
          selector: `${CPUS},context="irq"`,
        }),
        heatmap({
          title: 'Thread latency',
          description: 'From when the timer should have fired to its thread; the interrupt’s is part of it.',
          unit: 's',
          metric: TIMERLAT,
          selector: `${CPUS},context="thread"`,
        }),
        lines({
          title: 'Longest latency by CPU',
          description: 'The longest within max_window, for each CPU and context: what real time is about.',
          unit: 's',
          queries: [
            {
              expr: `max by (cluster, instance, cpu, context) (ftrace_timerlat_max_latency_seconds{${CPUS}})`,
              legend: '{{instance}} CPU {{cpu}} {{context}}',
            },
          ],
        }),
        lines({
          title: 'p99.9 by CPU',
          description: 'One in a thousand activations is as late or later.',
          unit: 's',
          log: true,
          queries: [
            {
              expr: quantile(0.999, TIMERLAT, CPUS, 'cluster', 'instance', 'cpu', 'context'),
              legend: '{{instance}} CPU {{cpu}} {{context}}',
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
          description: 'Share of the time watched that something else had.',
          unit: 'percentunit',
          queries: [
            {
              expr: `instance_cpu:ftrace_osnoise_noise:ratio_rate5m{${CPUS}}`,
              legend: '{{instance}} CPU {{cpu}}',
            },
          ],
        }),
        lines({
          title: 'Interference by source',
          description:
            'Time that each kind of interference took, of the time watched. hw: a gap that nothing explains.',
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
          unit: 's',
          queries: [
            {
              expr: `max by (cluster, instance, cpu) (ftrace_osnoise_max_single_noise_seconds{${CPUS}})`,
              legend: '{{instance}} CPU {{cpu}}',
            },
          ],
        }),
        lines({
          title: 'Interferences by source',
          description: 'How many a second, by what they were.',
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
          description: 'Windows a second in which the hardware took the CPU away. Should be none.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (cluster, instance, cpu, loop) (rate(ftrace_hwlat_latency_seconds_count{${CPUS}}[$__rate_interval]))`,
              legend: '{{instance}} CPU {{cpu}} {{loop}}',
            },
          ],
        }),
        lines({
          title: 'Length of gaps, p99',
          description: 'The longest gap of a window: one window in a hundred has one as long or longer.',
          unit: 's',
          queries: [
            {
              expr: quantile(
                0.99,
                'ftrace_hwlat_latency_seconds',
                CPUS,
                'cluster',
                'instance',
                'cpu',
                'loop',
              ),
              legend: '{{instance}} CPU {{cpu}} {{loop}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Worst cases (latency tracers)',
      panels: [
        lines({
          title: 'Longest latency by tracer',
          description: 'The longest within max_window; /api/v1/latency/TRACER of the node has its trace.',
          unit: 's',
          queries: [
            {
              expr: `max by (cluster, instance, tracer) (ftrace_latency_tracer_max_seconds{${CHOSEN}})`,
              legend: '{{instance}} {{tracer}}',
            },
          ],
        }),
        lines({
          title: 'New worst cases',
          description:
            'Times an hour that a tracer met one longer than before. It says that, not how often, something is slow.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (cluster, instance, tracer) (increase(ftrace_latency_tracer_records_total{${CHOSEN}}[1h]))`,
              legend: '{{instance}} {{tracer}}',
            },
          ],
        }),
      ],
    },
  ],
};
