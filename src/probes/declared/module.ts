/** Returns the events that declared metrics need, and makes one handler per event. */
import type { DeclaredMetric, EventChoice } from '../../model/declared-metric.ts';
import { CPU, TASK } from '../../model/declared-metric.ts';
import type { EventHandler } from '../../model/record.ts';
import type { CommonOptions, EventNeed, Probe, ProbeContext, ProbeModule } from '../probe.ts';
import { declareAmounts, openLabels } from './amounts.ts';
import { fieldsOfFilter } from './filter.ts';
import { runMetric } from './metric.ts';
import { isOfTask } from './operations.ts';
import type { RunningMetric } from './pair.ts';

const OF_SINGLES = [TASK, 'common_flags'];

/** Returns the events and fields that a metric needs. `without` is copied to each `EventNeed`. */
export function needsOf(metric: DeclaredMetric, without?: string): EventNeed[] {
  const { start, event, key, measure, labels, between } = metric;
  const amountFields = measure
    ? [measure.field, ...(measure.minus === undefined ? [] : [measure.minus])]
    : [];
  const need = (side: EventChoice, end: 'start' | 'end', own: readonly string[]): EventNeed => {
    const ofLabels = labels
      .filter((label) => label.of === end && !label.isOptional)
      .flatMap(({ field, reaches }) => [field, ...(reaches ? [reaches.field] : [])]);
    const addresses = labels
      .filter((label) => label.of === end && label.as === 'symbol')
      .map(({ field }) => field);
    const fields = [...own, ...ofLabels, ...fieldsOfFilter(side.where)];
    return {
      event: side.event,
      fields: [...new Set(fields)].filter((field) => field !== CPU && field !== ''),
      addresses,
      without,
    };
  };
  const task = [metric.task ?? TASK, 'common_flags'];
  if (start === undefined) return [need(event, 'end', [...OF_SINGLES, ...task, ...amountFields])];
  return [
    need(start, 'start', [TASK, ...key.map((part) => part.start), ...(between ? [between.start] : [])]),
    need(event, 'end', [TASK, ...task, ...key.map((part) => part.end), ...(between ? [between.end] : [])]),
  ];
}

export function familyOf(metric: DeclaredMetric): ProbeModule['metrics'][number] {
  const { name, help, labels } = metric;
  const open = openLabels(metric);
  return { name, help, labels: labels.map((label) => label.name), open, isOfTask: isOfTask(metric) };
}

/**
 * Runs the metrics whose events and fields the kernel has, and declares the families of all metrics in `all`. Throws an
 * `Error` if a field has the wrong type for a metric.
 */
export function runMetrics(
  context: ProbeContext,
  metrics: readonly DeclaredMetric[],
  options: CommonOptions,
  all: readonly DeclaredMetric[] = [],
): Probe {
  for (const metric of all) declareAmounts(context, metric, options, () => []);
  const running = metrics
    .filter((metric) => isOffered(context, metric))
    .map((metric) => runMetric(context, metric, options));
  const handlers: Record<string, EventHandler> = {};
  for (const [event, handler] of running.flatMap((one) => one.handlers)) {
    const before = handlers[event];
    handlers[event] = before === undefined ? handler : inTurn(before, handler);
  }
  const losses = running.flatMap(({ onLoss }) => onLoss ?? []);
  return {
    handlers,
    counted: running.flatMap(({ counted }) => counted ?? []),
    filters: filtersOf(metrics, running),
    onLoss: losses.length === 0 ? undefined : inTurnOnLoss(losses),
    sweep: () => {
      for (const one of running) one.refresh();
    },
  };
}

function isOffered(context: ProbeContext, metric: DeclaredMetric): boolean {
  return needsOf(metric).every(({ event, fields, addresses = [] }) => {
    if (addresses.length > 0 && !hasNames(context)) return false;
    const names = context.format(event)?.fields.map(({ name }) => name);
    return names !== undefined && fields.every((field) => names.includes(field));
  });
}

function hasNames(context: ProbeContext): boolean {
  try {
    return context.functions !== undefined;
  } catch {
    return false;
  }
}

function inTurn(first: EventHandler, second: EventHandler): EventHandler {
  return (record) => {
    first(record);
    second(record);
  };
}

function inTurnOnLoss(
  all: readonly NonNullable<RunningMetric['onLoss']>[],
): NonNullable<RunningMetric['onLoss']> {
  return (cpu, untilNs) => {
    for (const onLoss of all) onLoss(cpu, untilNs);
  };
}

/** Returns filters in the kernel's syntax, by event. An event that a metric needs unfiltered has none. */
function filtersOf(
  metrics: readonly DeclaredMetric[],
  running: readonly RunningMetric[],
): Record<string, string> {
  const read = new Set(running.flatMap(({ handlers }) => handlers.map(([event]) => event)));
  const all = metrics.flatMap(({ start, event }) => (start ? [start, event] : [event]));
  const filters: Record<string, string> = {};
  for (const event of read) {
    const uses = all.filter((use) => use.event === event);
    if (uses.some(({ where }) => where === undefined)) continue;
    filters[event] = [...new Set(uses.map(({ where }) => `(${where})`))].join(' || ');
  }
  return filters;
}
