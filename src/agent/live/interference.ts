/** Finds what other users of tracefs have changed in a buffer of this agent since recording began. */
import { basename, dirname, join } from 'node:path';
import {
  diskSwitch,
  enableOf,
  FORKED_LISTS,
  type InstanceState,
  PID_LISTS,
} from '../../tracefs/instance-state.ts';

/** The other user may need the change for some time. */
export const UNDO_AFTER_MS = 60_000;
const MOST_NAMED = 5;

export interface Interference {
  /** What another user has changed, and what the agent will do about it. */
  reason: string;
  /** Events that are missing or incomplete. Absent if all events of the buffer are affected. */
  events?: readonly string[];
  /** True if the change loses no events. */
  isHarmless?: true;
  /** Writes that undo the change. Absent if the agent leaves the change as it is. */
  undo?: readonly Undo[];
}

export interface Undo {
  /** Relative to the instance's directory. */
  file: string;
  value: string;
  /** True if the file is a list, which must be emptied before the write. */
  isList?: true;
}

export interface Expected {
  root: string;
  dir: string;
  events: readonly string[];
  /** Events that the agent has disabled, because their probes are suspended. */
  switchedOff: ReadonlySet<string>;
  /** State of the buffer when recording began. */
  state: InstanceState;
  /** Why the kernel itself may have stopped recording; '' if it never does. */
  stopsWhen: string;
  /** The agent does not undo changes at the top level, because other users share it. */
  isTopLevel: boolean;
}

/** Throws if the clock, the sub-buffer size or the tracer has changed, because the events are then unusable. */
export function interferences(expected: Expected, now: InstanceState): Interference[] {
  const { dir, state } = expected;
  if (now.clock !== state.clock)
    throw new Error(
      `another user has set the trace clock of ${dir} to ${now.clock}: timestamps before and after the change cannot be compared`,
    );
  if (now.pageBytes !== state.pageBytes)
    throw new Error(
      `another user has changed the sub-buffer size of ${dir}: the agent can no longer read this buffer`,
    );
  if (now.tracer !== state.tracer)
    throw new Error(
      `another user has changed current_tracer of ${dir} from ${state.tracer} to ${now.tracer}: restart the agent`,
    );
  const all = [
    ...recordingOff(expected, now),
    ...eventsOff(expected, now),
    ...eventsOn(expected, now),
    ...narrowed(expected, now),
    ...disksOff(now),
    ...resetSettings(expected, now),
    ...overwriteOff(now, dir),
    ...resized(expected, now),
  ];
  return all.map(expected.isTopLevel ? leftAlone : undoneLater);
}

function leftAlone({ undo: _, ...rest }: Interference): Interference {
  return {
    ...rest,
    reason: `${rest.reason}; the agent does not undo this change, because the top level is shared`,
  };
}

function undoneLater(one: Interference): Interference {
  if (one.undo === undefined) return one;
  return {
    ...one,
    reason: `${one.reason}; the agent undoes such a change after ${UNDO_AFTER_MS / 1000} s`,
  };
}

function recordingOff({ dir, stopsWhen }: Expected, now: InstanceState): Interference[] {
  if (now.recording) return [];
  if (stopsWhen !== '')
    return [
      {
        reason: `recording has stopped: ${stopsWhen}; the agent does not switch it on again: write 1 to ${dir}/tracing_on to continue`,
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
      undo: missing.map((event) => ({ file: enableOf(event), value: '1' })),
    },
  ];
}

function eventsOn({ dir, switchedOff }: Expected, now: InstanceState): Interference[] {
  const surplus = [...switchedOff].filter((event) => now.events.has(event));
  if (surplus.length === 0) return [];
  return [
    {
      reason: `events of suspended probes were enabled in ${dir}: ${someOf(surplus)}`,
      isHarmless: true,
      undo: surplus.map((event) => ({ file: enableOf(event), value: '0' })),
    },
  ];
}

/** Changes of the event filters, the CPU mask and the pid lists. */
function narrowed({ dir, state }: Expected, now: InstanceState): Interference[] {
  const all: Interference[] = [];
  for (const [file, before] of state.limits) {
    const text = now.limits.get(file);
    if (text === undefined || text === before) continue;
    // With `options/function-fork`, the kernel itself changes these lists at each fork and exit.
    if (state.followsForks && FORKED_LISTS.includes(file)) continue;
    const change = text === '' ? 'emptied' : `written ${JSON.stringify(text.split('\n')[0].slice(0, 80))} to`;
    const reason = `not all events are recorded: another user has ${change} ${dir}/${file}`;
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

/** Converts `events/SYSTEM/NAME/filter` to `SYSTEM:NAME`. */
function eventOf(file: string): string {
  const event = dirname(file);
  return `${basename(dirname(event))}:${basename(event)}`;
}

function disksOff({ disksOff: off }: InstanceState): Interference[] {
  return off.map((disk) => ({
    reason: `block tracing of ${disk} was switched off: write 1 to ${diskSwitch(disk)}`,
  }));
}

function resetSettings({ root, state }: Expected, { settings }: InstanceState): Interference[] {
  return [...state.settings].flatMap(([file, before]) => {
    const text = settings.get(file);
    if (text === undefined || text === before) return [];
    const path = join(root, file);
    return {
      reason: `another user has changed ${path} from ${before} to ${text}, which changes what ${state.tracer} measures; the agent does not undo this, because all tracers share the file: write ${before} to it`,
    };
  });
}

function overwriteOff(now: InstanceState, dir: string): Interference[] {
  if (now.overwrite) return [];
  return [
    {
      reason: `another user has switched off ${dir}/options/overwrite: a full buffer drops new events without marking the loss`,
      undo: [{ file: 'options/overwrite', value: '1' }],
    },
  ];
}

function resized({ dir, state }: Expected, now: InstanceState): Interference[] {
  const [before, size] = [state.bufferBytesPerCpu / 1024, now.bufferBytesPerCpu / 1024];
  if (size === before) return [];
  const reason = `another user has changed the buffer size of ${dir} from ${before} to ${size} KiB per CPU`;
  return [
    size > before
      ? { reason: `${reason}; the agent uses the new size`, isHarmless: true }
      : { reason, isHarmless: true, undo: [{ file: 'buffer_size_kb', value: String(before) }] },
  ];
}

function someOf(names: readonly string[]): string {
  return names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ', …' : '');
}
