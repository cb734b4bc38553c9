/** Makes texts of the page: titles of metrics, texts of labels, and the task that performed an operation. */
import type { SlowTree } from '../model/slow.ts';

const TITLES: Readonly<Record<string, string>> = {
  ftrace_sched_runqueue_latency_seconds: 'Waiting for a CPU',
  ftrace_sched_runqueue_wait_seconds_total: 'Waiting for a CPU, by CPU',
  ftrace_irq_seconds_total: 'Interrupt handlers, by CPU',
  ftrace_container_runqueue_wait_seconds_total: 'Containers: waiting for a CPU',
  ftrace_container_preemptions_total: 'Containers: preemptions',
  ftrace_container_interference_seconds_total: 'Containers: who had the CPU',
  ftrace_container_throttled_seconds_total: 'Containers: throttled by quota',
  ftrace_container_cpu_pressure_seconds_total: 'Containers: CPU pressure',
  ftrace_syscall_errors_total: 'System calls: errors',
  ftrace_block_io_device_seconds: 'Disk requests: device',
  ftrace_block_io_queue_seconds: 'Disk requests: queue',
  ftrace_irq_duration_seconds: 'Interrupt handlers',
  ftrace_softirq_latency_seconds: 'Soft interrupts: waiting',
  ftrace_softirq_duration_seconds: 'Soft interrupts: running',
  ftrace_syscall_duration_seconds: 'System calls',
  ftrace_function_duration_seconds: 'Kernel functions',
  ftrace_osnoise_interference_seconds: 'Noise on measured CPUs',
  ftrace_timerlat_latency_seconds: 'Timer latency',
  ftrace_hwlat_latency_seconds: 'Hardware latency',
  ftrace_blk_queue_to_complete_seconds: 'Block layer: queue to completion',
  ftrace_blk_issue_to_complete_seconds: 'Block layer: issue to completion',
  ftrace_exporter_drain_duration_seconds: 'The agent: reading the buffers',
};

export function titleOf(metric: string): string {
  const title = TITLES[metric];
  if (title !== undefined) return title;
  const words = metric
    .replace(/^ftrace_/, '')
    .replace(/_(seconds|total|seconds_total)$/, '')
    .replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Returns a note for a metric whose long durations can be normal; '' for other metrics. */
export function hintOf(metric: string): string {
  return metric === 'ftrace_syscall_duration_seconds'
    ? ' Calls such as futex, epoll_wait and nanosleep also wait on purpose, for work or for a timer.'
    : '';
}

/** Returns label values as text, as in `sda read`: `all` if there are no labels, `–` if all are empty. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels);
  // Skip empty values: a systemd service has neither namespace nor pod.
  const values = pairs
    .filter(([, value]) => value !== '')
    .map(([name, value]) => (name === 'cpu' ? `CPU ${value}` : value));
  return values.join(' ') || (pairs.length === 0 ? 'all' : '–');
}

export function isOwn(metric: string): boolean {
  return metric.startsWith('ftrace_exporter_') || metric.startsWith('process_');
}

/** Returns thread, program, process ID, and pod or container. The program of a script is its interpreter. */
export function whoOf({ attributes, resource }: Pick<SlowTree, 'attributes' | 'resource'>): string {
  const { 'thread.name': thread, 'process.executable.name': program } = attributes;
  const parts = [
    thread === undefined || program === undefined || thread === program
      ? (program ?? thread)
      : `${thread} (${program})`,
    attributes['process.pid'],
    resource['k8s.pod.name'] ?? resource['container.id']?.slice(0, 12),
  ];
  return parts
    .filter((part) => part !== undefined)
    .map(String)
    .join(' · ');
}
