/**
 * For traces, reports which functions kworkers run and which kernel locks tasks wait for. Reads these events only if
 * the probes in `WORK_PROBES` are enabled, because they need function names and can be many.
 */
import type { TaskSink } from '../../model/intervals.ts';
import type { EventHandler } from '../../model/record.ts';
import type { EventNeed, ProbeContext } from '../probe.ts';
import type { TaskAbsences } from '../tables/task-absences.ts';

const WORK_START = 'workqueue:workqueue_execute_start';
const WORK_END = 'workqueue:workqueue_execute_end';
const LOCK_BEGIN = 'lock:contention_begin';
const LOCK_END = 'lock:contention_end';

/** Probes that read the same events. */
export const WORK_PROBES = ['workqueue', 'locks'] as const;

/** `also`: those of `WORK_PROBES` that are enabled. */
export function workNeeds(also: readonly string[]): EventNeed[] {
  const works: EventNeed[] = [
    {
      event: WORK_START,
      fields: ['common_pid', 'function'],
      addresses: ['function'],
      without: 'traces do not name the work that kworkers run',
    },
    { event: WORK_END, fields: ['common_pid'], without: 'traces do not name the work that kworkers run' },
  ];
  const locks: EventNeed[] = [
    { event: LOCK_BEGIN, fields: ['common_pid', 'flags'], without: 'traces do not name kernel locks' },
    { event: LOCK_END, fields: ['common_pid'], without: 'traces do not name kernel locks' },
  ];
  return [...(also.includes('workqueue') ? works : []), ...(also.includes('locks') ? locks : [])];
}

export function workEvents(
  context: ProbeContext,
  sink: TaskSink,
  absences: TaskAbsences,
): Record<string, EventHandler> {
  const handlers: Record<string, EventHandler> = {};
  const has = (...events: string[]) => events.every((event) => context.format(event) !== undefined);
  if (has(WORK_START, WORK_END)) {
    const startPid = context.int(WORK_START, 'common_pid');
    const endPid = context.int(WORK_END, 'common_pid');
    const at = context.word(WORK_START, 'function');
    const { functions } = context;
    sink.works((low, high) => functions.nameOf(low, high));
    handlers[WORK_START] = (record) => {
      const { words, offset, timestampNs } = record;
      const low = (offset >> 2) + at;
      sink.worked(startPid(record), timestampNs, words[low], words[low + 1]);
    };
    handlers[WORK_END] = (record) => sink.worked(endPid(record), record.timestampNs, 0, 0);
  }
  if (has(LOCK_BEGIN, LOCK_END)) {
    const beginPid = context.int(LOCK_BEGIN, 'common_pid');
    const endPid = context.int(LOCK_END, 'common_pid');
    const flagsOf = context.int(LOCK_BEGIN, 'flags');
    handlers[LOCK_BEGIN] = (record) =>
      absences.lockBegins(beginPid(record), flagsOf(record), record.timestampNs);
    handlers[LOCK_END] = (record) => absences.lockEnds(endPid(record));
  }
  return handlers;
}
