/** The labels whose values identify the rows of a table in tops.ts. */
import type { HistoryMetric } from '../model/history.ts';

/** Labels of the rows, for each counter that has a table. */
const COUNTERS: Readonly<Record<string, readonly string[]>> = {
  ftrace_sched_runqueue_wait_seconds_total: ['cpu'],
  ftrace_irq_seconds_total: ['cpu'],
  ftrace_function_calls_total: ['function'],
  ftrace_syscall_errors_total: ['syscall', 'errno'],
  ftrace_events_total: ['event'],
  ftrace_container_runqueue_wait_seconds_total: ['namespace', 'pod', 'container'],
  ftrace_container_preemptions_total: ['namespace', 'pod', 'container', 'by'],
  ftrace_container_throttled_seconds_total: ['namespace', 'pod', 'container'],
  ftrace_container_cpu_pressure_seconds_total: ['namespace', 'pod', 'container'],
  ftrace_container_interference_seconds_total: [
    'namespace',
    'pod',
    'container',
    'by_namespace',
    'by_pod',
    'by_container',
  ],
};

/** Returns the labels of a metric's table. Returns an empty list if the metric has no table. */
export function topLabels({ name, kind, labels }: HistoryMetric): readonly string[] {
  return kind === 'histogram' ? labels.filter((label) => label !== 'cpu') : (COUNTERS[name] ?? []);
}
