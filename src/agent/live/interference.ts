/**
 * What others have changed in a buffer that this agent records. Takes the state that recording began with and the
 * present one; gives what stops or thins events, in words, and how each can be undone.
 */
import { basename, dirname } from 'node:path';
import { diskSwitch, type InstanceState, PID_LISTS } from '../../tracefs/instance-state.ts';

/** How long a change by somebody else stays before the agent undoes it: it may be meant so. */
export const UNDO_AFTER_MS = 60_000;
const MOST_NAMED = 5;

export interface Interference {
  /** What has happened and what will become of it. */
  reason: string;
  /** Events that do not come, or not all; absent: any of the buffer. */
  events?: readonly string[];
  /** Events come all the same. */
  isHarmless?: true;
  /** What to write to undo it: files relative to the instance, with their values. Absent: the agent leaves it. */
  undo?: readonly Undo[];
}

export interface Undo {
  file: string;
  value: string;
  /** The file is a list, which is emptied first. */
  isList?: true;
}

export interface Expected {
  dir: string;
  events: readonly string[];
  /** When recording began. */
  state: InstanceState;
  /** Why recording may have stopped by itself; '' where that cannot be. */
  stopsWhen: string;
  /** The top level is everybody's: what somebody sets there is left as it is. */
  isTopLevel: boolean;
}

/**
 * What is otherwise than when recording began. Throws where nothing can be made of what is recorded now: stamps of
 * another clock, pages of another size, another tracer.
 */
export function interferences(expected: Expected, now: InstanceState): Interference[] {
  const { dir, state } = expected;
  if (now.clock !== state.clock)
    throw new Error(
      `somebody has set the trace clock of ${dir} to ${now.clock}: stamps before and after do not go together`,
    );
  if (now.pageBytes !== state.pageBytes)
    throw new Error(
      `somebody has changed the size of sub-buffers in ${dir}: the buffer has to be opened again`,
    );
  if (now.tracer !== state.tracer)
    throw new Error(
      `somebody has set current_tracer of ${dir} to ${now.tracer} instead of ${state.tracer}: start the agent again to trace with it`,
    );
  const all = [
    ...recordingOff(expected, now),
    ...eventsOff(expected, now),
    ...narrowed(expected, now),
    ...disksOff(now),
    ...overwriteOff(now, dir),
    ...resized(expected, now),
  ];
  return all.map(expected.isTopLevel ? leftAlone : undoneLater);
}

function leftAlone({ undo: _, ...rest }: Interference): Interference {
  return { ...rest, reason: `${rest.reason}; the agent leaves it so, because the top level is everybody's` };
}

function undoneLater(one: Interference): Interference {
  if (one.undo === undefined) return one;
  return { ...one, reason: `${one.reason}; the agent undoes it ${UNDO_AFTER_MS / 1000} s after it noticed` };
}

function recordingOff({ dir, stopsWhen }: Expected, now: InstanceState): Interference[] {
  if (now.recording) return [];
  if (stopsWhen !== '')
    return [
      {
        reason: `recording has stopped: ${stopsWhen}; the agent leaves it so: write 1 to ${dir}/tracing_on to go on`,
      },
    ];
  return [
    {
      reason: `recording was switched off: write 1 to ${dir}/tracing_on`,
      undo: [{ file: 'tracing_on', value: '1' }],
    },
  ];
}

function eventsOff({ dir, events }: Expected, now: InstanceState): Interference[] {
  const missing = events.filter((event) => !now.events.has(event));
  if (missing.length === 0) return [];
  return [
    {
      reason: `events were disabled in ${dir}: ${someOf(missing)}; write 1 to the enable file of each`,
      events: missing,
      undo: missing.map((event) => ({ file: `events/${event.replace(':', '/')}/enable`, value: '1' })),
    },
  ];
}

/** Filters, CPU masks and lists of tasks. */
function narrowed({ dir, state }: Expected, now: InstanceState): Interference[] {
  const all: Interference[] = [];
  for (const [file, before] of state.limits) {
    const text = now.limits.get(file);
    if (text === undefined || text === before) continue;
    const said = text === '' ? 'emptied it' : `written ${JSON.stringify(text.split('\n')[0].slice(0, 80))}`;
    const reason = `not all events are recorded: somebody has ${said} to ${dir}/${file}`;
    if (PID_LISTS.includes(file)) all.push({ reason, undo: [{ file, value: before, isList: true }] });
    else if (basename(file) !== 'filter') all.push({ reason, undo: [{ file, value: before }] });
    else
      all.push({
        reason,
        events: [eventOf(file)],
        undo: [{ file, value: before === 'none' ? '0' : before }],
      });
  }
  return all;
}

/** `events/SYSTEM/NAME/filter` */
function eventOf(file: string): string {
  const event = dirname(file);
  return `${basename(dirname(event))}:${basename(event)}`;
}

function disksOff({ disksOff: off }: InstanceState): Interference[] {
  return off.map((disk) => ({
    reason: `block tracing of ${disk} was switched off: write 1 to ${diskSwitch(disk)}`,
  }));
}

function overwriteOff(now: InstanceState, dir: string): Interference[] {
  if (now.overwrite) return [];
  return [
    {
      reason: `somebody has switched off ${dir}/options/overwrite: a full buffer drops new events without a mark`,
      undo: [{ file: 'options/overwrite', value: '1' }],
    },
  ];
}

function resized({ dir, state }: Expected, now: InstanceState): Interference[] {
  const [before, size] = [state.bufferBytesPerCpu / 1024, now.bufferBytesPerCpu / 1024];
  if (size === before) return [];
  const reason = `somebody has changed the buffer of ${dir} from ${before} to ${size} KiB per CPU`;
  return [
    size > before
      ? { reason: `${reason}; the agent uses it so`, isHarmless: true }
      : { reason, isHarmless: true, undo: [{ file: 'buffer_size_kb', value: String(before) }] },
  ];
}

function someOf(names: readonly string[]): string {
  return names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ', …' : '');
}
