/**
 * Reads markers, with which programs report the begin and end of their own spans. A program writes text to
 * `trace_marker` or, since kernel 6.4, the event `user_events:traceparent` (Documentation/trace/user_events.rst). The
 * span belongs to the thread that wrote the marker.
 */
import type { EventHandler, EventRecord } from '../../model/record.ts';
import type { Probe, ProbeContext, ProbeModule } from '../probe.ts';
import { helperSchema } from './helper.ts';
import { isTraceparent, markerKind, readTraceparent, VALUE_AT } from './traceparent.ts';

const PRINT = 'ftrace:print';
const EXIT = 'sched:sched_process_exit';
/** Programs declare it as `traceparent char[56] traceparent; u8 begin`. */
export const USER_EVENT = 'user_events:traceparent';

export const traceMarkers: ProbeModule = {
  name: 'trace-markers',
  help: 'Markers with which programs report their own spans.',
  byDefault: false,
  rate: 'low',
  schema: helperSchema,
  needs: () => [
    { event: PRINT, fields: ['common_pid', 'buf'] },
    { event: EXIT, fields: ['pid'] },
    { event: USER_EVENT, fields: ['common_pid', 'traceparent', 'begin'], without: '' },
  ],
  create: createTraceMarkers,
  metrics: [],
};

/** Reads text markers from the top-level buffer, if the kernel cannot copy them to the agent's instance. */
export const topLevelMarkers: ProbeModule = {
  ...traceMarkers,
  name: 'top-level-markers',
  needs: () => [{ event: PRINT, fields: ['common_pid', 'buf'] }],
};

function createTraceMarkers(context: ProbeContext): Probe {
  const sink = context.intervals.markers;
  if (sink === undefined) throw new Error('trace markers require a sink');
  const pidOf = context.int(PRINT, 'common_pid');
  const text = context.bytes(PRINT, 'buf');
  /** `valueAt`: byte offset of the `traceparent` value. */
  const mark = (record: EventRecord, pid: number, valueAt: number, isBegin: boolean): void => {
    if (!sink.takes(pid, record.timestampNs)) return;
    const span = readTraceparent(record.bytes, valueAt);
    if (isBegin) sink.began(pid, record.timestampNs, span);
    else sink.ended(pid, record.timestampNs, span);
  };
  const onPrint: EventHandler = (record) => {
    const from = text.start(record);
    const kind = markerKind(record.bytes, from, text.end(record));
    if (kind === 'other') return;
    if (kind === 'malformed') {
      sink.malformed();
      return;
    }
    mark(record, pidOf(record), from + VALUE_AT, kind === 'begin');
  };

  const handlers: Record<string, EventHandler> = { [PRINT]: onPrint };
  if (context.format(EXIT) !== undefined) {
    const exiting = context.int(EXIT, 'pid');
    handlers[EXIT] = (record) => sink.exited(exiting(record), record.timestampNs);
  }
  if (context.format(USER_EVENT) !== undefined) {
    const userPid = context.int(USER_EVENT, 'common_pid');
    const value = context.bytes(USER_EVENT, 'traceparent');
    const begins = context.int(USER_EVENT, 'begin');
    handlers[USER_EVENT] = (record) => {
      const from = value.start(record);
      if (!isTraceparent(record.bytes, from, value.end(record))) {
        sink.malformed();
        return;
      }
      mark(record, userPid(record), from, begins(record) !== 0);
    };
  }
  return { handlers, onLoss: (_cpu, untilNs) => sink.lost(untilNs) };
}
