/** Fleet: which nodes report, which lose events, which are worst, and what the agents cost. */
import { type Board, CLUSTER, NODE } from './board.ts';
import { bars, CHOSEN, heatmap, lines, SHOULD_BE_ZERO, stat } from './panels.ts';

const UP = `up{job="ftrace-exporter",${CHOSEN}}`;
const top = (expr: string) => `topk(10, ${expr})`;
/** A node can have several agents. They measure the same node, so take the maximum; their costs add up. */
const byNode = (rule: string) => top(`max by (cluster, instance) (${rule}{${CHOSEN}} >= 0)`);
const costByNode = (rule: string, selector = CHOSEN) =>
  top(`sum by (cluster, instance) (${rule}{${selector}} >= 0)`);
const OF_AGENTS = `job="ftrace-exporter",${CHOSEN}`;

export const fleetBoard: Board = {
  uid: 'ftrace-fleet',
  title: 'ftrace / Fleet',
  description: 'All nodes: which report, which lose events, which are worst, and what the agents cost.',
  choices: [CLUSTER, NODE],
  rows: [
    {
      title: 'Nodes',
      panels: [
        stat({
          title: 'Reporting',
          width: 3,
          description: 'Nodes with an agent that answered the last scrape.',
          unit: 'short',
          query: { expr: `count(max by (cluster, instance) (${UP}) == 1) or vector(0)`, legend: 'nodes' },
        }),
        stat({
          title: 'Not answering',
          width: 3,
          description:
            'Nodes with an agent whose last scrape failed. A node with several agents can count here and as reporting.',
          unit: 'short',
          query: { expr: `count(min by (cluster, instance) (${UP}) == 0) or vector(0)`, legend: 'nodes' },
          levels: { bad: 1 },
        }),
        stat({
          title: 'Not ready',
          width: 3,
          description:
            'Nodes with an agent that answers but does not get all its events; /readyz of the node says why.',
          unit: 'short',
          query: {
            expr: `count(min by (cluster, instance) (ftrace_exporter_ready{${CHOSEN}}) == 0) or vector(0)`,
            legend: 'nodes',
          },
          levels: { bad: 1 },
        }),
        stat({
          title: 'Losing events',
          width: 3,
          description: 'Nodes whose kernel buffers lost events within five minutes.',
          unit: 'short',
          query: {
            expr: `count(sum by (cluster, instance) (instance_buffer:ftrace_exporter_events_lost:rate5m{${CHOSEN}}) > 0) or vector(0)`,
            legend: 'nodes',
          },
          levels: { bad: 1 },
        }),
        stat({
          title: 'Probes down',
          width: 3,
          description: 'Probes that are switched on but get no events; /api/v1/status of the node says why.',
          unit: 'short',
          query: { expr: `count(ftrace_exporter_probe_up{${CHOSEN}} == 0) or vector(0)`, legend: 'probes' },
          levels: { bad: 1 },
        }),
        stat({
          title: 'Events read',
          width: 5,
          description: 'Events read and decoded per second, all nodes.',
          unit: 'eps',
          query: {
            expr: `sum(instance_buffer:ftrace_exporter_events_read:rate5m{${CHOSEN}})`,
            legend: 'events',
          },
        }),
        stat({
          title: 'CPU of all agents',
          width: 4,
          description: 'Number of cores that all agents use together.',
          unit: 'short',
          query: { expr: `sum(instance:ftrace_exporter_cpu_seconds:rate5m{${CHOSEN}})`, legend: 'cores' },
        }),
      ],
    },
    {
      title: 'Latency',
      panels: [
        heatmap({
          title: 'Waits for a CPU, all nodes',
          needs: 'sched',
          description:
            'Time from runnable to running, all nodes of the selected clusters. Colour: waits per second.',
          unit: 's',
          expr: 'sum by (le) (cluster_le:ftrace_sched_runqueue_latency_seconds_bucket:rate5m{cluster=~"$cluster"})',
        }),
        lines({
          title: 'Alerts firing',
          levels: SHOULD_BE_ZERO,
          needs: { words: 'None firing' },
          description: 'Alerts of this product by name. Their runbooks are in docs/runbooks.',
          unit: 'short',
          queries: [
            {
              expr: `count by (alertname) (ALERTS{alertname=~"Ftrace.+",alertstate="firing",${CHOSEN}})`,
              legend: '{{alertname}}',
            },
          ],
        }),
        lines({
          title: 'Wait for a CPU, p99 of each cluster',
          levels: { warning: 10e-3, bad: 50e-3 },
          needs: 'sched',
          description: 'One in a hundred waits is as long or longer, over all nodes of a cluster.',
          unit: 's',
          queries: [
            {
              expr: 'cluster:ftrace_sched_runqueue_latency_seconds:p99_rate5m{cluster=~"$cluster"}',
              legend: 'cluster {{cluster}}',
            },
          ],
        }),
        bars({
          title: 'Longest waits for a CPU',
          levels: { warning: 10e-3, bad: 50e-3 },
          needs: 'sched',
          description: 'Ten nodes by p99 of the time from runnable to running.',
          unit: 's',
          queries: [
            {
              expr: byNode('instance:ftrace_sched_runqueue_latency_seconds:p99_rate5m'),
              legend: '{{instance}}',
            },
          ],
          linkTo: 'node',
        }),
        bars({
          title: 'Slowest disks',
          levels: { bad: 100e-3 },
          needs: 'block',
          description: 'Ten disks by p99 of the time in the device, reads and writes.',
          unit: 's',
          queries: [
            {
              expr: top(
                `max by (cluster, instance, device) (instance_device_operation:ftrace_block_io_device_seconds:p99_rate5m{operation=~"read|write",${CHOSEN}} >= 0)`,
              ),
              legend: '{{instance}} {{device}}',
            },
          ],
          linkTo: 'node',
        }),
        bars({
          title: 'Latest soft interrupts',
          levels: { bad: 5e-3 },
          needs: 'softirq',
          description: 'Ten nodes by p99 of the time from raise to start, of the worst vector.',
          unit: 's',
          queries: [
            {
              expr: byNode('instance_vector:ftrace_softirq_latency_seconds:p99_rate5m'),
              legend: '{{instance}}',
            },
          ],
          linkTo: 'node',
        }),
        bars({
          title: 'Latest timers',
          levels: { bad: 100e-6 },
          needs: 'timerlat',
          description: 'Ten nodes by the longest latency that timerlat saw, where it is on.',
          unit: 's',
          queries: [
            { expr: byNode('instance:ftrace_timerlat_max_latency_seconds:max'), legend: '{{instance}}' },
          ],
          linkTo: 'node',
        }),
        bars({
          title: 'Most time in soft interrupts',
          levels: { bad: 0.2 },
          needs: 'softirq',
          description: 'Ten nodes by the share of the time of all their CPUs.',
          unit: 'percentunit',
          queries: [{ expr: byNode('instance:ftrace_softirq_seconds:ratio_rate5m'), legend: '{{instance}}' }],
          linkTo: 'node',
        }),
      ],
    },
    {
      title: 'Agents',
      panels: [
        bars({
          title: 'Agents by CPU',
          levels: { bad: 0.25 },
          description: 'Ten nodes by the share of one core that their agents use.',
          unit: 'percentunit',
          width: 8,
          queries: [
            { expr: costByNode('instance:ftrace_exporter_cpu_seconds:rate5m'), legend: '{{instance}}' },
          ],
          linkTo: 'node',
        }),
        bars({
          title: 'Agents by memory',
          levels: { bad: 256 * 1024 * 1024 },
          description: 'Ten nodes by resident memory of their agents.',
          unit: 'bytes',
          width: 8,
          queries: [
            {
              expr: costByNode('process_resident_memory_bytes', OF_AGENTS),
              legend: '{{instance}}',
            },
          ],
          linkTo: 'node',
        }),
        bars({
          title: 'Agents by samples',
          levels: { warning: 10_000, bad: 20_000 },
          description:
            'Ten nodes by samples per scrape. A node with far more than others has a label with too many values.',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: costByNode('scrape_samples_scraped', OF_AGENTS),
              legend: '{{instance}}',
            },
          ],
          linkTo: 'node',
        }),
      ],
    },
  ],
};
