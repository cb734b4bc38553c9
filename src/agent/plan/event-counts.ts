import type { EventPlan } from './plan.ts';

export function sumsOf(all: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const one of all) for (const [name, count] of one) sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}

/** Counts the events that each probe of the current plan has received, including those from before a reload. */
export function countEvents(first: Pick<EventPlan, 'eventCounts'>) {
  let plan = first;
  let before: ReadonlyMap<string, number> = new Map();
  const counts = (): Map<string, number> => sumsOf([plan.eventCounts(), before]);
  return {
    counts,
    /** Switches to the plan after a reload. */
    goesOn: (next: typeof first): void => {
      const names = next.eventCounts();
      before = new Map([...counts()].filter(([name]) => names.has(name)));
      plan = next;
    },
  };
}
