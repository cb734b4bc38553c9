/**
 * Fast paths of the handlers for syscall events (`usual` and `pair` of `EventHandler`). A fast path does nothing and
 * returns false in rare cases, such as calls that fail, sleep or are slow.
 */
import type { PairForm, UsualForm } from '../../model/record.ts';
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
  duration: { recordUsual(row: number, cpu: number, ns: number, container: number): boolean };
  peekContainer(tid: number): number;
}

export function usualExit(
  { isSelf, word }: ProbeContext,
  state: Measured,
  event: string,
  fixedId: number | undefined,
): UsualForm {
  const { calls, rowOf, lostUntil, slowNs, duration, peekContainer } = state;
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
    if (!duration.recordUsual(rowOf(id), cpu, ns, peekContainer(pid))) return false;
    calls.stamps[place] = 0;
    return true;
  };
}

/** Measures a call whose enter and exit events are consecutive records, without storing its start. */
export function usualCall(
  { isSelf, word }: ProbeContext,
  state: Measured,
  [enter, exit]: readonly [string, string],
  fixedId: number | undefined,
): PairForm {
  const { calls, rowOf, lostUntil, slowNs, duration, peekContainer } = state;
  const [enterPid, exitPid] = [word(enter, 'common_pid'), word(exit, 'common_pid')];
  const [enterId, exitId] = fixedId === undefined ? [word(enter, 'id'), word(exit, 'id')] : [0, 0];
  const fixed = fixedId ?? NO_ID;
  const ret = word(exit, 'ret');
  return (words, at, endAt, timestampNs, ns, cpu) => {
    const pid = words[at + enterPid];
    const id = enterId === 0 ? fixed : words[at + enterId];
    if (words[endAt + exitPid] !== pid || id === NO_ID || words[endAt + ret] < 0) return false;
    if (exitId !== 0 && words[endAt + exitId] !== id) return false;
    const place = calls.at(pid);
    if (place === 0 || calls.stamps[place] !== 0 || isSelf(pid)) return false;
    if (timestampNs < lostUntil[0] || ns >= slowNs) return false;
    const row = rowOf(id);
    return row >= 0 && duration.recordUsual(row, cpu, ns, peekContainer(pid));
  };
}
