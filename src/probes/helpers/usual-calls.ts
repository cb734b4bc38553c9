/**
 * Fast paths of the handlers for syscall events (`usual` and `pair` of `EventHandler`). A fast path does nothing and
 * returns false in rare cases, such as calls that fail, sleep or are slow.
 */
import type { UsualForm, UsualPair } from '../../model/record.ts';
import type { ProbeContext } from '../probe.ts';
import type { TaskStamps } from '../tables/task-stamps.ts';

interface Calls {
  /** Start time of each task's unfinished call. The tag is the syscall number. */
  calls: TaskStamps;
  /** Returns the row (number of the series) of a syscall; negative if it is not measured. */
  rowOf(id: number): number;
}

/** Value of the field `id` in the exit event of sigreturn. */
const NO_ID = -1;

/** `fixedId`: the syscall number, if the event has no field `id`. */
export function usualEnter(
  { isSelf, word }: ProbeContext,
  { calls, rowOf }: Calls,
  event: string,
  fixedId: number | undefined,
): UsualForm {
  const pidAt = word(event, 'common_pid');
  const idAt = fixedId === undefined ? word(event, 'id') : 0;
  const fixed = fixedId ?? NO_ID;
  return (words, at, timestampNs) => {
    const pid = words[at + pidAt];
    const id = idAt === 0 ? fixed : words[at + idAt];
    const place = calls.at(pid);
    if (place === 0 || calls.stamps[place] !== 0 || rowOf(id) < 0 || isSelf(pid)) return false;
    calls.stamps[place] = timestampNs;
    calls.tags[place] = id;
    return true;
  };
}

interface Measured extends Calls {
  /** Element 0: end of the last loss of events. At least 1, so that stamp 0 (no call) is always smaller. */
  lostUntil: Float64Array;
  slowNs: number;
  duration: {
    peek(row: number, cpu: number, container: number): number;
    family: { recordUsual(slot: number, ns: number): boolean };
  };
  peekContainer(tid: number): number;
}

export function usualExit(
  { isSelf, word }: ProbeContext,
  state: Measured,
  event: string,
  fixedId: number | undefined,
): UsualForm {
  const { calls, rowOf, lostUntil, slowNs, duration, peekContainer } = state;
  const { recordUsual } = duration.family;
  const pidAt = word(event, 'common_pid');
  const idAt = fixedId === undefined ? word(event, 'id') : 0;
  const fixed = fixedId ?? NO_ID;
  const ret = word(event, 'ret');
  return (words, at, timestampNs, cpu) => {
    const pid = words[at + pidAt];
    const id = idAt === 0 ? fixed : words[at + idAt];
    const place = calls.at(pid);
    const since = calls.stamps[place];
    const ns = timestampNs - since;
    if (since < lostUntil[0] || calls.tags[place] !== id || id === NO_ID || words[at + ret] < 0) return false;
    if (ns >= slowNs || isSelf(pid)) return false;
    const slot = duration.peek(rowOf(id), cpu, peekContainer(pid));
    if (slot < 0 || !recordUsual(slot, ns)) return false;
    calls.stamps[place] = 0;
    return true;
  };
}

/** Measures calls whose enter and exit events are consecutive records, without storing their start. */
export function usualCall(
  { isSelf, word }: ProbeContext,
  { calls, rowOf, lostUntil, slowNs, duration, peekContainer }: Measured,
  [enter, exit]: readonly [string, string],
  fixedId: number | undefined,
): Omit<UsualPair, 'end'> {
  const [enterPid, exitPid] = [word(enter, 'common_pid'), word(exit, 'common_pid')];
  const [enterId, exitId] = fixedId === undefined ? [word(enter, 'id'), word(exit, 'id')] : [0, 0];
  const fixed = fixedId ?? NO_ID;
  const ret = word(exit, 'ret');
  const { recordUsual } = duration.family;
  return {
    begin: (words, at, timestampNs, cpu) => {
      const pid = words[at + enterPid];
      const id = enterId === 0 ? fixed : words[at + enterId];
      const place = calls.at(pid);
      if (place === 0 || calls.stamps[place] !== 0 || isSelf(pid)) return -1;
      if (timestampNs < lostUntil[0] || id === NO_ID) return -1;
      const row = rowOf(id);
      return row < 0 ? -1 : duration.peek(row, cpu, peekContainer(pid));
    },
    matches: (words, at, endAt, model) => {
      const pid = words[at + enterPid];
      if (words[model + enterPid] !== pid || words[endAt + exitPid] !== pid || words[endAt + ret] < 0)
        return false;
      if (enterId === 0) return true;
      const id = words[at + enterId];
      return words[model + enterId] === id && words[endAt + exitId] === id;
    },
    count: (slot, ns) => ns < slowNs && recordUsual(slot, ns),
  };
}
