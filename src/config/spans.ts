/** The section `spans` of the config: which kinds of slow operations become traces. A named kind is on. */
import { z } from 'zod';
import type { KindOptions, SpansConfig } from '../model/span.ts';
import { TASK_CLASSES } from '../model/task-classes.ts';
import { LATENCY_TRACERS } from '../model/tracer.ts';
import { isMap } from './overlay.ts';
import { duration, globs, yesOrNo } from './units.ts';

const US = 1e3;
const MS = 1e6;
const HOUR = 3_600_000 * MS;

/** Schema of a number of traces per second. Accepts digits as text, because environment variables are text. */
function rate() {
  const want = 'must be a number of traces per second from 0.01 to 10000';
  const number = z.number({ error: want }).min(0.01, want).max(10_000, want);
  const digits = z.string().regex(/^\d{1,5}(\.\d{1,3})?$/, want);
  return z.union([number, digits.transform(Number).pipe(number)], { error: want });
}

function threshold(byDefault: string) {
  return duration({ min: US, max: HOUR }).prefault(byDefault);
}

/** Schema of a kind of slow operations. A kind without options (`block:`) gets the default options. */
function kind<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess((raw) => raw ?? {}, z.strictObject(shape)).optional();
}

/** Keys of kinds whose operations belong to a task. */
function ofTasks() {
  return {
    processes: globs('name').optional(),
    exclude_processes: globs('name').optional(),
    containers: globs('name').optional(),
    exclude_containers: globs('name').optional(),
    classes: z
      .array(z.enum(TASK_CLASSES), { error: `must be a list of ${TASK_CLASSES.join(', ')}` })
      .min(1)
      .prefault(['normal', 'rt']),
  };
}

function latencyKind() {
  return kind({ threshold: threshold('100us') });
}

export function spansSchema() {
  return z.strictObject({
    max_traces_per_second: rate().prefault(50),
    containers: yesOrNo().prefault(false),
    top_level_markers: yesOrNo().prefault(false),
    essential: yesOrNo().prefault(false),
    kinds: z
      .strictObject({
        syscalls: kind({
          threshold: threshold('10ms'),
          include: globs('name').optional(),
          ...ofTasks(),
        }),
        block: kind({ threshold: threshold('50ms'), ...ofTasks() }),
        sched: kind({ threshold: threshold('10ms'), ...ofTasks() }),
        metrics: kind({
          threshold: threshold('10ms'),
          include: globs('name').optional(),
          ...ofTasks(),
        }),
        function_graph: kind({
          threshold: threshold('10ms'),
          min_child: duration({ min: 0, max: HOUR }).prefault('100us'),
          max_spans: z.int().min(1).max(1000).default(100),
          ...ofTasks(),
        }),
        timerlat: kind({ threshold: threshold('100us') }),
        osnoise: kind({ threshold: threshold('1ms') }),
        ...(Object.fromEntries(LATENCY_TRACERS.map((name) => [name, latencyKind()])) as Record<
          (typeof LATENCY_TRACERS)[number],
          ReturnType<typeof latencyKind>
        >),
      })
      .prefault({}),
  });
}

interface CheckedKind {
  threshold: number;
  include?: string[] | undefined;
  processes?: string[] | undefined;
  exclude_processes?: string[] | undefined;
  containers?: string[] | undefined;
  exclude_containers?: string[] | undefined;
  classes?: KindOptions['classes'];
  min_child?: number;
  max_spans?: number;
}

/** Converts the section to the agent's config. Returns undefined if no kind is on. */
export function toSpansConfig(checked: z.output<ReturnType<typeof spansSchema>>): SpansConfig | undefined {
  const kinds = Object.entries(checked.kinds).flatMap(([name, options]) => {
    if (!isMap(options)) return [];
    return [[name, kindOptions(options as unknown as CheckedKind)] as const];
  });
  if (kinds.length === 0) return undefined;
  return {
    maxTracesPerSecond: checked.max_traces_per_second,
    containers: checked.containers || kinds.some(([, kind]) => kind.containers ?? kind.excludeContainers),
    topLevelMarkers: checked.top_level_markers,
    essential: checked.essential,
    kinds: Object.fromEntries(kinds),
  };
}

function kindOptions(checked: CheckedKind): KindOptions {
  const { threshold, include, min_child, max_spans, exclude_processes, exclude_containers } = checked;
  const { processes, containers, classes } = checked;
  return {
    thresholdNs: threshold,
    include,
    minChildNs: min_child,
    maxSpans: max_spans,
    processes,
    excludeProcesses: exclude_processes,
    containers,
    excludeContainers: exclude_containers,
    classes,
  };
}
