/** Containers of a node: which of them wait for a CPU, and which others use it during the wait. */
import { type Board, CLUSTER, ONE_NODE } from './board.ts';
import { bars, CHOSEN, lines, matrix, quantile, SECONDS_PER_SECOND, text } from './panels.ts';

const NEEDS = { words: 'No data: needs the probe sched with per_container in the agent’s config' };
const WAIT = 'ftrace_container_runqueue_wait_seconds_total';
const INTERFERENCE = 'ftrace_container_interference_seconds_total';
const THROTTLED = 'ftrace_container_throttled_seconds_total';
const NAME = 'namespace, pod, container';
const LEGEND = '{{namespace}} {{pod}} {{container}}';
const PAIR = `${LEGEND} ← {{by_namespace}} {{by_pod}} {{by_container}}`;

const rate = (metric: string, more = '') => `rate(${metric}{${CHOSEN}${more}}[$__rate_interval])`;
/** Shows only the largest series, so that the panel stays readable. */
const largest = (expr: string, count = 15) => `topk(${count}, ${expr})`;
const byName = (expr: string) => largest(`sum by (${NAME}) (${expr})`);
const BUSY = ', by_container!="idle"';
const OF_CONTAINERS = ', container!=""';
const needs = (probe: string) => ({
  words: `No data: needs the probe ${probe} with per_container in the agent’s config`,
});
/** Adds a label with the name of a pod and its container. */
const named = (label: string, prefix: string, expr: string) =>
  `label_join(${expr}, "${label}", " ", "${prefix}pod", "${prefix}container")`;
const slowest = (metric: string, ...by: string[]) =>
  `${largest(quantile(0.99, metric, `${CHOSEN}${OF_CONTAINERS}`, 'instance', ...by, 'namespace', 'pod', 'container'))} > 0`;

export const containersBoard: Board = {
  uid: 'ftrace-containers',
  title: 'ftrace / Containers',
  description:
    'Which containers wait for a CPU, and because of which others. Needs the probe sched with per_container; disks and syscalls need theirs.',
  choices: [CLUSTER, ONE_NODE],
  rows: [
    {
      title: 'Waiting',
      panels: [
        lines({
          title: 'Waiting by container',
          description:
            'Seconds that tasks of a container waited for a CPU in each second, which is the average number of waiting tasks. The fifteen with the longest waits.',
          unit: SECONDS_PER_SECOND,
          needs: NEEDS,
          queries: [{ expr: byName(rate(WAIT)), legend: LEGEND }],
        }),
        bars({
          title: 'Because of which others, now',
          description:
            'Seconds per second that the container on the left waited while the one on the right had the CPU. Time on an idle CPU is left out. A container can wait for itself.',
          unit: SECONDS_PER_SECOND,
          needs: NEEDS,
          queries: [{ expr: largest(rate(INTERFERENCE, BUSY), 20), legend: PAIR }],
        }),
      ],
    },
    {
      title: 'Who makes whom wait',
      panels: [
        matrix({
          title: 'Interference matrix, now',
          description:
            'Seconds per second that the container of the row waited while the container of the column had the CPU. The thirty largest pairs; time on an idle CPU is left out.',
          unit: SECONDS_PER_SECOND,
          width: 24,
          needs: NEEDS,
          rows: 'waits',
          columns: 'runs',
          expr: largest(
            `sum by (waits, runs) (${named('runs', 'by_', named('waits', '', rate(INTERFERENCE, BUSY)))})`,
            30,
          ),
        }),
      ],
    },
    {
      title: 'A neighbour, or the own quota',
      panels: [
        lines({
          title: 'Waiting because of others',
          description:
            'Seconds per second that a container waited while a task of another container, unit or the system had the CPU.',
          unit: SECONDS_PER_SECOND,
          needs: {
            words: 'No data: are the recording rules loaded? Needs the probe sched with per_container',
          },
          levels: { bad: 0.25 },
          queries: [
            {
              expr: largest(`instance_container:ftrace_container_interference_seconds:rate5m{${CHOSEN}}`),
              legend: LEGEND,
            },
          ],
        }),
        lines({
          title: 'Throttled by the own quota',
          description:
            'Seconds per second that the CPU quota of a container stopped it. Compare with the panel on the left: more CPUs for the node do not help here.',
          unit: SECONDS_PER_SECOND,
          needs: NEEDS,
          queries: [{ expr: byName(rate(THROTTLED)), legend: LEGEND }],
        }),
        lines({
          title: 'Makes others wait',
          description:
            'Seconds per second that tasks of others waited while this container had the CPU, the container itself included.',
          unit: SECONDS_PER_SECOND,
          needs: NEEDS,
          queries: [
            {
              expr: largest(`sum by (by_namespace, by_pod, by_container) (${rate(INTERFERENCE, BUSY)})`),
              legend: '{{by_namespace}} {{by_pod}} {{by_container}}',
            },
          ],
        }),
      ],
    },
    {
      title: 'Disks and syscalls',
      panels: [
        bars({
          title: 'Slowest disk requests by container, p99',
          description:
            'From when a request was issued to the driver until it completed. Each links to the dashboard of the node.',
          unit: 's',
          needs: needs('block'),
          linkTo: 'node',
          queries: [{ expr: slowest('ftrace_block_io_device_seconds'), legend: LEGEND }],
        }),
        bars({
          title: 'Slowest syscalls by container, p99',
          description:
            'From entry to exit, waits for data, events and timers included. Each links to the dashboard of the node.',
          unit: 's',
          needs: needs('syscalls'),
          linkTo: 'node',
          queries: [
            { expr: slowest('ftrace_syscall_duration_seconds', 'syscall'), legend: `{{syscall}}: ${LEGEND}` },
          ],
        }),
        lines({
          title: 'Bytes to and from disks by container',
          description:
            'Bytes of completed requests that tasks of a container asked for. Writeback is that of kernel.',
          unit: 'Bps',
          needs: needs('block'),
          queries: [{ expr: byName(rate('ftrace_block_io_bytes_total', OF_CONTAINERS)), legend: LEGEND }],
        }),
        lines({
          title: 'Time in syscalls by container',
          description:
            'Seconds per second in syscalls, without the time in which tasks waited for data, an event or a timer.',
          unit: SECONDS_PER_SECOND,
          needs: needs('syscalls'),
          queries: [
            {
              expr: largest(
                `sum by (${NAME}) (${rate('ftrace_syscall_duration_seconds_sum', OF_CONTAINERS)}) - (sum by (${NAME}) (${rate('ftrace_syscall_waiting_seconds_total', OF_CONTAINERS)}) or 0 * sum by (${NAME}) (${rate('ftrace_syscall_duration_seconds_sum', OF_CONTAINERS)}))`,
              ),
              legend: LEGEND,
            },
          ],
        }),
      ],
    },
    {
      title: 'Preemptions',
      panels: [
        lines({
          title: 'Lost the CPU, by what took it',
          description:
            'Preemptions per second, by what ran on the CPU next. self: another task of the same container, or the end of its quota.',
          unit: 'ops',
          needs: NEEDS,
          queries: [
            {
              expr: largest(`sum by (${NAME}, by) (${rate('ftrace_container_preemptions_total')})`),
              legend: `${LEGEND}: {{by}}`,
            },
          ],
        }),
        text({
          title: 'How to read this',
          description: 'What the numbers mean, and what they cannot say.',
          content:
            'Look at *Throttled* first: a container that its own quota stops waits whatever its neighbours do. Then at *Waiting because of others*: if it is high, the bars name the other container. `by_container="other"` is the rest of a container’s wait beyond the largest pairs.\n\n[docs/containers.md](https://github.com/ftrace-exporter/ftrace-exporter/blob/main/docs/containers.md)',
        }),
      ],
    },
  ],
};
