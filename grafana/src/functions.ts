/** Functions: how often functions of the kernel are called and how long they take, by function and CPU. */
import { type Board, CLUSTER, NODE } from './board.ts';
import { bars, CHOSEN, heatmap, lines, quantile } from './panels.ts';

const DURATION = 'ftrace_function_duration_seconds';
const FUNCTIONS = `${CHOSEN},function=~"$function",cpu=~"$cpu"`;
const both =
  '{__name__=~"ftrace_function_calls_total|ftrace_function_duration_seconds_count",cluster=~"$cluster",instance=~"$node"}';

export const functionsBoard: Board = {
  uid: 'ftrace-functions',
  title: 'ftrace / Functions',
  description:
    'Calls and durations of kernel functions, where the probes function and function_graph are on.',
  choices: [
    CLUSTER,
    NODE,
    { name: 'function', label: 'function', of: both },
    { name: 'cpu', label: 'cpu', of: both },
  ],
  rows: [
    {
      title: 'Calls (probe function)',
      panels: [
        lines({
          title: 'Calls by function',
          description: 'Calls a second; the twenty functions called most.',
          unit: 'cps',
          queries: [
            {
              expr: `topk(20, sum by (function) (rate(ftrace_function_calls_total{${FUNCTIONS}}[$__rate_interval])))`,
              legend: '{{function}}',
            },
          ],
        }),
        lines({
          title: 'Calls by CPU',
          description: 'Calls a second of the functions chosen, by the CPU that made them.',
          unit: 'cps',
          stacked: true,
          queries: [
            {
              expr: `sum by (cluster, instance, cpu) (rate(ftrace_function_calls_total{${FUNCTIONS}}[$__rate_interval]))`,
              legend: '{{instance}} CPU {{cpu}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Durations (probe function_graph)',
      panels: [
        heatmap({
          title: 'Durations',
          description: 'From call to return of the functions chosen, what they call and sleep included.',
          unit: 's',
          metric: DURATION,
          selector: FUNCTIONS,
        }),
        bars({
          title: 'Slowest functions',
          description: 'Ten functions by p99 of their duration.',
          unit: 's',
          query: {
            expr: `topk(10, ${quantile(0.99, DURATION, FUNCTIONS, 'function')} >= 0)`,
            legend: '{{function}}',
          },
        }),
        lines({
          title: 'p99 by function',
          description: 'One in a hundred calls takes as long or longer.',
          unit: 's',
          log: true,
          queries: [{ expr: quantile(0.99, DURATION, FUNCTIONS, 'function'), legend: '{{function}}' }],
        }),
        lines({
          title: 'p99 by CPU',
          description:
            'The same by the CPU where the call returned: one that stands out has a neighbour or a clock of its own.',
          unit: 's',
          log: true,
          queries: [
            {
              expr: quantile(0.99, DURATION, FUNCTIONS, 'cluster', 'instance', 'cpu'),
              legend: '{{instance}} CPU {{cpu}}',
            },
          ],
        }),
        lines({
          title: 'Mean duration',
          description: 'Time in a function by its calls.',
          unit: 's',
          queries: [
            {
              expr: `sum by (function) (rate(${DURATION}_sum{${FUNCTIONS}}[$__rate_interval])) / (sum by (function) (rate(${DURATION}_count{${FUNCTIONS}}[$__rate_interval])) > 0)`,
              legend: '{{function}}',
            },
          ],
        }),
        lines({
          title: 'Time in functions',
          description: 'Seconds a second. Nested calls count each, so sums over functions count time twice.',
          unit: 'short',
          queries: [
            {
              expr: `topk(20, sum by (function) (rate(${DURATION}_sum{${FUNCTIONS}}[$__rate_interval])))`,
              legend: '{{function}}',
            },
          ],
        }),
      ],
    },
  ],
};
