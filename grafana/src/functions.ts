/** Functions: how often kernel functions are called and how long they take, by function and CPU. */
import { type Board, CLUSTER, ONE_NODE } from './board.ts';
import { bars, CHOSEN, heatmap, lines, quantile, SECONDS_PER_SECOND } from './panels.ts';

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
    ONE_NODE,
    { name: 'function', label: 'function', of: both },
    { name: 'cpu', label: 'cpu', of: both },
  ],
  rows: [
    {
      title: 'Calls (probe function)',
      panels: [
        lines({
          title: 'Calls by function',
          description: 'Calls per second; the twenty functions called most.',
          needs: 'function',
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
          description: 'Calls per second of the selected functions, by the CPU that made them.',
          needs: 'function',
          unit: 'cps',
          stacked: true,
          queries: [
            {
              expr: `sum by (cpu) (rate(ftrace_function_calls_total{${FUNCTIONS}}[$__rate_interval]))`,
              legend: 'CPU {{cpu}}',
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
          description:
            'Time from call to return of the selected functions, including sleeps and called functions.',
          needs: 'function_graph',
          unit: 's',
          metric: DURATION,
          selector: FUNCTIONS,
        }),
        bars({
          title: 'Slowest functions',
          description: 'Ten functions by p99 of their duration.',
          needs: 'function_graph',
          unit: 's',
          queries: [
            {
              expr: `topk(10, ${quantile(0.99, DURATION, FUNCTIONS, 'function')} >= 0)`,
              legend: '{{function}}',
            },
          ],
        }),
        lines({
          title: 'p99 by function',
          description:
            'One in a hundred calls takes as long or longer; the twenty functions with the highest.',
          needs: 'function_graph',
          unit: 's',
          log: true,
          queries: [
            {
              expr: `topk(20, ${quantile(0.99, DURATION, FUNCTIONS, 'function')} >= 0)`,
              legend: '{{function}}',
            },
          ],
        }),
        lines({
          title: 'p99 by CPU',
          description:
            'All selected functions, by the CPU where the call returned. A CPU that stands out may share its core with a busy one, or run at another frequency.',
          needs: 'function_graph',
          unit: 's',
          log: true,
          queries: [
            {
              expr: quantile(0.99, DURATION, FUNCTIONS, 'cpu'),
              legend: 'CPU {{cpu}}',
            },
          ],
        }),
        lines({
          title: 'Mean duration',
          description: 'Time in a function divided by its calls; the twenty longest.',
          needs: 'function_graph',
          unit: 's',
          queries: [
            {
              expr: `topk(20, sum by (function) (rate(${DURATION}_sum{${FUNCTIONS}}[$__rate_interval])) / (sum by (function) (rate(${DURATION}_count{${FUNCTIONS}}[$__rate_interval])) > 0))`,
              legend: '{{function}}',
            },
          ],
        }),
        lines({
          title: 'Time in functions',
          description:
            'Seconds spent in each second; the twenty functions with the most. Each nested call counts, so sums count time twice.',
          needs: 'function_graph',
          unit: SECONDS_PER_SECOND,
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
