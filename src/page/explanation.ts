/** Explains the duration of an operation by its direct child spans, grouped by name and by task or disk. */
import type { SlowTree, SpanTree } from '../model/slow.ts';
import { count } from './format.ts';

export interface Part {
  what: string;
  seconds: number;
  times: number;
}

const MOST_PARTS = 10;

/** Returns the parts of the duration, longest first, including the time that no direct child covers. */
export function explanationOf({ children, durationSeconds, kind }: SlowTree): Part[] {
  const parts = new Map<string, Part>();
  let rest = durationSeconds;
  for (const child of children) {
    const whose = whoseIs(child);
    const what = whose === undefined ? child.name : `${child.name}: ${whose}`;
    const { seconds, times } = parts.get(what) ?? { seconds: 0, times: 0 };
    parts.set(what, { what, seconds: seconds + child.durationSeconds, times: times + 1 });
    rest -= child.durationSeconds;
  }
  const sorted = [...parts.values()];
  if (rest > durationSeconds / 1000)
    sorted.push({ what: kind === 'sched' ? 'not known' : 'the operation itself', seconds: rest, times: 1 });
  sorted.sort((a, b) => b.seconds - a.seconds);
  const others = sorted.splice(MOST_PARTS);
  if (others.length === 0) return sorted;
  const total = (field: 'seconds' | 'times') => others.reduce((sum, part) => sum + part[field], 0);
  const what = `${count(others.length)} others`;
  return [...sorted, { what, seconds: total('seconds'), times: total('times') }];
}

/** Returns the task or disk in a span's attributes; the first name and `…` if there are several. */
export function whoseIs({ attributes }: SpanTree) {
  const { 'thread.name': thread, 'system.device': device, 'ftrace.thread.names': several } = attributes;
  return thread ?? device ?? (Array.isArray(several) ? `${several[0]} …` : undefined);
}
