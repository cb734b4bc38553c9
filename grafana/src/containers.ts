/** Containers of a node: which wait for a CPU, and which others had it meanwhile. */
import { type Board, CLUSTER, ONE_NODE } from './board.ts';
import { bars, CHOSEN, lines, SECONDS_PER_SECOND, text } from './panels.ts';

const NEEDS = { words: 'No data: needs the probe sched with per_container in the agent’s config' };
const WAIT = 'ftrace_container_runqueue_wait_seconds_total';
const INTERFERENCE = 'ftrace_container_interference_seconds_total';
const THROTTLED = 'ftrace_container_throttled_seconds_total';
const NAME = 'namespace, pod, container';
const LEGEND = '{{namespace}} {{pod}} {{container}}';
const PAIR = `${LEGEND} ← {{by_namespace}} {{by_pod}} {{by_container}}`;

const rate = (metric: string, more = '') => `rate(${metric}{${CHOSEN}${more}}[$__rate_interval])`;
/** The largest on the screen, the rest left out. */
const largest = (expr: string, count = 15) => `topk(${count}, ${expr})`;
const byName = (expr: string) => largest(`sum by (${NAME}) (${expr})`);
const BUSY = ', by_container!="idle"';

export const containersBoard: Board = {
  uid: 'ftrace-containers',
  title: 'ftrace / Containers',
  description:
    'Which containers wait for a CPU, and because of which others. Needs the probe sched with per_container.',
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
      title: 'Preemptions',
      panels: [
        lines({
          title: 'Lost the CPU, by what took it',
          description:
            'Times per second that a task lost its CPU although it could have gone on. self: another task of its container, or the end of its quota.',
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
