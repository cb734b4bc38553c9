/**
 * How often does an event occur? Events that the agent itself causes do not count, unless the kernel counts them
 * (`count_in: kernel`).
 */
import { DEFAULT_BUCKETS } from '../config/units/buckets.ts';
import { globMatcher } from '../config/units/globs.ts';
import { COUNT_IN, type CountIn, KERNEL_CPU } from '../model/kernel-count.ts';
import type { EventHandler } from '../model/record.ts';
import { IN_INTERRUPT } from './names/trace-flags.ts';
import type { CommonOptions, Probe, ProbeContext, ProbeModule } from './probe.ts';
import { SlotCache } from './tables/slot-cache.ts';

const COUNT = {
  name: 'ftrace_events_total',
  help: 'Number of times that each event named in the config occurred, by event and CPU.',
  labels: ['event', 'cpu'],
  open: ['event'],
};

/** With at most this many events, all series start at 0, so that even the first event shows as an increase. */
const SHOWN_FROM_START = 16;

export interface EventsOptions extends CommonOptions {
  /** Globs of `system:event`. */
  count: readonly string[];
  count_in: CountIn;
}

export const events: ProbeModule<EventsOptions> = {
  name: 'events',
  help: 'How often the events named in the config occur.',
  byDefault: false,
  rate: 'low',
  schema: ({ z, globs, probeSchema }) =>
    probeSchema(
      { enabled: false, per_cpu: false, max_series: 500, buckets: DEFAULT_BUCKETS },
      { count: globs('event').prefault([]), count_in: z.enum(COUNT_IN).default('agent') },
    ).refine((options) => !options.enabled || options.count.length > 0, {
      path: ['count'],
      message: 'list at least one event to count, as in ["sched:sched_process_exec", "oom:*"]',
    }),
  needs: (options, kernel) => {
    const isSelected = globMatcher(options.count);
    return kernel
      .events()
      .filter(isSelected)
      .map((event) => ({ event, fields: ['common_pid', 'common_flags'], without: '' }));
  },
  names: ({ count }, kernel) => {
    const offered = kernel.events();
    // The list is empty if the agent could not read it.
    return [
      { key: 'count', globs: count, kind: 'event', offered: offered.length === 0 ? undefined : offered },
    ];
  },
  create: createEvents,
  metrics: [COUNT],
};

function createEvents(context: ProbeContext, options: EventsOptions): Probe {
  const { isSelf, ignoreSelf, events: names } = context;
  const family = context.metrics.counter({ ...COUNT, maxSeries: options.max_series });
  const slots = new SlotCache(context.cpuCount, (row, cpu) => family.slot([names[row], String(cpu)]));
  const counterOf = (row: number): EventHandler => {
    const pidOf = context.int(names[row], 'common_pid');
    const flagsOf = context.int(names[row], 'common_flags');
    return (record) => {
      if (isSelf(pidOf(record)) && (flagsOf(record) & IN_INTERRUPT) === 0) ignoreSelf();
      else family.add(slots.at(row, record.cpu), 1);
    };
  };
  const countInKernel = options.count_in === 'kernel' ? context.countInKernel : undefined;
  const handlers: Record<string, EventHandler> = {};
  names.forEach((event, row) => {
    if (countInKernel === undefined) handlers[event] = counterOf(row);
    else {
      const count = countInKernel({ event, keys: [KERNEL_CPU], room: context.cpuCount });
      context.metrics.onSnapshot(() =>
        count.read(([cpu], more) => family.add(slots.at(row, Number(cpu)), more)),
      );
    }
    if (names.length > SHOWN_FROM_START) return;
    for (const cpu of context.onlineCpus) slots.at(row, cpu);
  });
  return { handlers, counted: countInKernel && names };
}
