/** What disturbs isolated CPUs? The local timer and received IPIs (irq_vectors) are measured only on x86. */
import type { DeclaredLabel, DeclaredMetric } from '../model/declared-metric.ts';
import { constant, counter, declaredProbe, histogram, pair } from './declared/built-in.ts';

const INTERRUPTIONS = 'ftrace_isolation_interruptions_total';
const SECONDS = 'ftrace_isolation_seconds_total';
const HELP = {
  [INTERRUPTIONS]:
    'Interruptions of an isolated CPU, by source (such as irq, ipi or thread) and by the name of what interrupted the CPU.',
  [SECONDS]: 'Time for which an isolated CPU was interrupted, by source (such as irq, ipi or thread).',
};
const ON_CPU: Partial<DeclaredLabel> = { as: 'cpu' };
const IPIS = ['reschedule', 'call_function', 'call_function_single', 'irq_work'];

interface Source {
  source: string;
  start: string;
  end: string;
  /** The label `name`, from the start event. */
  name: Partial<DeclaredLabel>;
  key: readonly (string | { start: string; end: string })[];
  where?: string;
}

const vector = (name: string, source: string): Source => ({
  source,
  start: `irq_vectors:${name}_entry`,
  end: `irq_vectors:${name}_exit`,
  name: constant(name),
  key: ['cpu'],
});

const SOURCES: readonly Source[] = [
  {
    source: 'irq',
    start: 'irq:irq_handler_entry',
    end: 'irq:irq_handler_exit',
    name: { field: 'name' },
    key: ['cpu', 'irq'],
  },
  {
    source: 'softirq',
    start: 'irq:softirq_entry',
    end: 'irq:softirq_exit',
    name: { field: 'vec' },
    key: ['cpu', 'vec'],
  },
  vector('local_timer', 'timer'),
  ...IPIS.map((name) => vector(name, 'ipi')),
  {
    source: 'thread',
    start: 'sched:sched_switch',
    end: 'sched:sched_switch',
    name: { field: 'next_comm' },
    key: [{ start: 'next_pid', end: 'prev_pid' }],
    // The previous task was still runnable, so the next task took the CPU from it. 0x100: preempted in kernel code.
    where: '(prev_state == 0 || prev_state == 0x100) && prev_pid != 0',
  },
  {
    source: 'workqueue',
    start: 'workqueue:workqueue_execute_start',
    end: 'workqueue:workqueue_execute_end',
    name: { field: 'function', as: 'symbol' },
    key: ['common_pid'],
  },
];

/** Returns the metrics of these CPUs; of all CPUs if the list is empty. */
function metricsOf(cpus: readonly number[]): DeclaredMetric[] {
  const here = cpus.map((cpu) => `CPU == ${cpu}`).join(' || ');
  const on = (event: string, more?: string) => {
    const where = [...(here === '' ? [] : [`(${here})`]), ...(more === undefined ? [] : [more])].join(' && ');
    return where === '' ? { event } : { event, where };
  };
  const labels = (source: string, name: Partial<DeclaredLabel>) => ({
    cpu: ON_CPU,
    source: constant(source),
    name,
  });
  const counts = SOURCES.map(({ source, start, name, where }) =>
    counter(INTERRUPTIONS, HELP[INTERRUPTIONS], on(start, where), {
      labels: labels(source, name),
      isNobodys: true,
      isVariant: start.startsWith('irq_vectors:'),
    }),
  );
  const times = SOURCES.map(({ source, start, end, key, where }) =>
    pair(SECONDS, HELP[SECONDS], on(start, where), on(end), {
      kind: 'sum',
      key,
      labels: { cpu: ON_CPU, source: constant(source) },
      endsAlone: source === 'thread',
      isVariant: start.startsWith('irq_vectors:'),
    }),
  );
  const nmi = 'nmi:nmi_handler';
  return [
    ...counts,
    counter(INTERRUPTIONS, HELP[INTERRUPTIONS], on(nmi), {
      labels: labels('nmi', { field: 'handler', as: 'symbol' }),
      isNobodys: true,
      isVariant: true,
    }),
    ...times,
    histogram(
      SECONDS,
      HELP[SECONDS],
      on(nmi),
      { field: 'delta_ns', unit: 'ns' },
      {
        kind: 'sum',
        labels: { cpu: ON_CPU, source: constant('nmi') },
        isNobodys: true,
        isVariant: true,
      },
    ),
    counter(
      'ftrace_isolation_tick_kept_total',
      'Times the kernel could not stop the timer tick of an isolated CPU, by reason.',
      on('timer:tick_stop', 'success == 0'),
      { labels: { cpu: ON_CPU, reason: { field: 'dependency' } }, isNobodys: true },
    ),
    counter(
      'ftrace_isolation_ipis_sent_total',
      'IPIs sent to an isolated CPU, by the kernel function that sent them.',
      cpus.length === 0
        ? 'ipi:ipi_send_cpu'
        : { event: 'ipi:ipi_send_cpu', where: cpus.map((cpu) => `cpu == ${cpu}`).join(' || ') },
      { labels: { cpu: { as: 'number' }, callsite: { as: 'symbol' } }, isNobodys: true },
    ),
  ];
}

export const isolation = declaredProbe<{ cpus?: readonly number[] | undefined }>({
  name: 'isolation',
  help: 'What disturbs isolated CPUs, for how long, and which functions send them IPIs.',
  rate: 'high',
  schema: ({ cpuList }) => ({ cpus: cpuList().optional() }),
  check: ({ value, issues }) => {
    if (!value.enabled || (value.cpus !== undefined && value.cpus.length > 0)) return;
    const message = 'list the isolated CPUs, as in "2-3"';
    issues.push({ code: 'custom', path: ['cpus'], input: value.cpus, message });
  },
  metrics: ({ cpus = [] }) => metricsOf(cpus),
});
