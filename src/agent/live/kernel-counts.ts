/** Lets the kernel count events, with hist triggers in the agent's instance. */
import type { KernelCount, KernelCountRequest } from '../../model/kernel-count.ts';
import { type HistTrigger, histTrigger, requireHistTriggers } from '../../tracefs/hist-triggers.ts';
import { type Instance, quietly } from '../../tracefs/instance.ts';
import type { SelfMetrics } from '../plan/self-metrics.ts';
import type { BufferHealth } from './buffer-health.ts';

export interface KernelCounts {
  /** Throws a `KernelError` if the kernel refuses. */
  count(probe: string, request: KernelCountRequest): KernelCount;
  /** Ends the counts of these events, so that the caller can remove the events. */
  forget(events: readonly string[]): void;
  isEmpty(): boolean;
  health(): BufferHealth;
  /** Ends all counts, so that the caller can remove the agent's kprobes and uprobes. */
  close(): void;
}

/** A trigger, and the number of counts that read it. */
interface Used extends KernelCountRequest {
  trigger: HistTrigger;
  users: number;
}

export function openKernelCounts(instance: Instance, self: SelfMetrics): KernelCounts {
  /** By event and keys. */
  const triggers = new Map<string, Used>();
  /** By count: the probe, and why its events are not all counted. */
  const down = new Map<object, [probe: string, reason: string]>();
  let closed = false;

  const started = (request: KernelCountRequest): Used => {
    requireHistTriggers(instance.root);
    const place = `${request.event} ${request.keys}`;
    const used = triggers.get(place) ?? { ...request, trigger: histTrigger(instance.dir, request), users: 0 };
    if (used.users === 0) used.trigger.add();
    used.users++;
    triggers.set(place, used);
    return used;
  };
  const remove = (used: Used): void => {
    for (const [place, one] of triggers) if (one === used) triggers.delete(place);
    quietly(used.trigger.remove);
  };

  return {
    count: (probe, request) => {
      const used = started(request);
      const { trigger } = used;
      const before = new Map<string, number>();
      let [hitsBefore, droppedBefore] = [0, 0];
      if (used.users > 1) {
        // Subtract the hits from before this count began.
        const begun = trigger.read();
        for (const { values, hits } of begun?.entries ?? []) before.set(values.join(' '), hits);
        hitsBefore = begun?.hits ?? 0;
        droppedBefore = begun?.dropped ?? 0;
      }
      return {
        end: () => {
          down.delete(before);
          if (--used.users === 0 && [...triggers.values()].includes(used)) remove(used);
        },
        read: (visit) => {
          if (closed) return;
          const reading = trigger.read();
          if (reading === undefined || reading.isPaused)
            down.set(before, [
              probe,
              `another user has ended or paused the hist trigger that counts ${request.event} in ${instance.dir}`,
            ]);
          else down.delete(before);
          if (reading === undefined) return;
          const { entries } = reading;
          const keys = entries.map(({ values }) => values.join(' '));
          const grown = keys.filter(
            (key, i) => entries[i].hits >= (before.get(key) ?? Number.POSITIVE_INFINITY),
          );
          // Another user has cleared the counts if a key is missing or has fewer hits, or if a total is lower. But if the
          // kernel lacks memory to sort the entries, it shows only the totals.
          const isMissing = keys.length > 0 && grown.length < before.size;
          if (isMissing || reading.hits < hitsBefore || reading.dropped < droppedBefore) {
            before.clear();
            droppedBefore = 0;
          }
          entries.forEach(({ values, hits }, i) => {
            const more = hits - (before.get(keys[i]) ?? 0);
            before.set(keys[i], hits);
            if (more > 0) visit(values, more);
          });
          if (reading.dropped > droppedBefore)
            self.lostBefore(probe, 'no_room', reading.dropped - droppedBefore);
          hitsBefore = reading.hits;
          droppedBefore = reading.dropped;
        },
      };
    },
    forget: (events) => {
      for (const used of [...triggers.values()]) if (events.includes(used.event)) remove(used);
    },
    isEmpty: () => triggers.size === 0,
    health: () => ({
      problems: [...new Set(Array.from(down.values(), ([, reason]) => reason))],
      notices: [],
      down: new Map(down.values()),
    }),
    close: () => {
      closed = true;
      for (const used of [...triggers.values()]) remove(used);
    },
  };
}
