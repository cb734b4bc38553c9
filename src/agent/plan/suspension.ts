/**
 * Suspends probes of a plan. Operations that are open (begun but not ended) at that time are counted as `suspended`.
 */
import type { EventHandler } from '../../model/record.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { Probe, UnmatchedReason } from '../../probes/probe.ts';

/** `owners`: for each handler, the name of its probe, including suspended probes. */
export interface SharedEvent {
  event: string;
  /** The dispatcher calls these handlers in this order. A suspension changes the list. */
  handlers: EventHandler[];
  owners: readonly string[];
}

/** Why a probe last missed events. Operations that began before or while it missed events have no duration. */
export interface Gap {
  reason: 'lost' | 'suspended';
  /** True during a suspension. */
  isOff: boolean;
}

/** Returns a counter of operations without a duration. The counter replaces `reason` after a suspension. */
export function countByGap(
  gap: Gap,
  reason: UnmatchedReason,
  counter: (reason: UnmatchedReason) => (count?: number) => void,
): (count?: number) => void {
  const count = counter(reason);
  if (reason !== 'lost' && reason !== 'no_start' && reason !== 'no_end') return count;
  let suspended: ReturnType<typeof counter> | undefined;
  return (n = 1) => {
    if (gap.isOff || (reason === 'lost' && gap.reason === 'suspended')) {
      suspended ??= counter('suspended');
      suspended(n);
    } else count(n);
  };
}

export interface RunningProbe {
  name: string;
  probe: Probe;
  gap: Gap;
}

export interface Suspensions {
  /** Returns the events to disable. Until `detach`, the probe still handles events from before the suspension. */
  suspend(name: string): string[];
  /**
   * Removes the handlers, and drops operations from before `untilNs`. First process the events from before `untilNs`.
   */
  detach(name: string, untilNs: TimestampNs): void;
  /** Returns the events that the caller must enable again. */
  resume(name: string): string[];
  /** Call this after the kernel has resumed recording at `untilNs`. Drops operations that began before `untilNs`. */
  attach(name: string, untilNs: TimestampNs): void;
  /** Drops operations that began before `untilNs`, after a loss of the probe's events on an unknown CPU. */
  onLossOf(name: string, untilNs: TimestampNs): void;
  /** Drops all probes' operations that began before `untilNs`, after a loss of one CPU's events. */
  onLoss(cpu: number, untilNs: TimestampNs): void;
}

export function makeSuspensions(
  events: readonly SharedEvent[],
  running: readonly RunningProbe[],
  cpuCount: number,
): Suspensions {
  const off = new Set<string>();
  const all = events.map(({ handlers }) => [...handlers]);
  const isNeeded = ({ owners }: SharedEvent) => owners.some((owner) => !off.has(owner));
  const eventsOf = (name: string) => events.filter(({ owners }) => owners.includes(name));

  const reroute = (): void => {
    events.forEach((shared, i) => {
      // The kernel does not record events that no probe needs, so their handlers can stay.
      if (!isNeeded(shared)) return;
      const handlers = all[i].filter((_, at) => !off.has(shared.owners[at]));
      shared.handlers.splice(0, shared.handlers.length, ...handlers);
    });
  };

  /** Several helpers can have the same name, because a helper's name is its purpose. */
  const named = (name: string) => running.filter((one) => one.name === name);

  const voidUntil = (name: string, untilNs: TimestampNs): void => {
    for (const { probe } of named(name))
      for (let cpu = 0; cpu < cpuCount; cpu++) probe.onLoss?.(cpu, untilNs);
  };

  return {
    suspend: (name) => {
      off.add(name);
      for (const { gap } of named(name)) gap.isOff = true;
      return eventsOf(name).flatMap((shared) => (isNeeded(shared) ? [] : [shared.event]));
    },
    detach: (name, untilNs) => {
      for (const { gap } of named(name)) gap.reason = 'suspended';
      reroute();
      voidUntil(name, untilNs);
    },
    resume: (name) => {
      const unneeded = eventsOf(name).filter((shared) => !isNeeded(shared));
      off.delete(name);
      reroute();
      return unneeded.map(({ event }) => event);
    },
    attach: (name, untilNs) => {
      for (const { gap } of named(name)) gap.isOff = false;
      voidUntil(name, untilNs);
    },
    onLossOf: (name, untilNs) => {
      if (!off.has(name)) for (const { gap } of named(name)) gap.reason = 'lost';
      voidUntil(name, untilNs);
    },
    onLoss: (cpu, untilNs) => {
      for (const { name, probe, gap } of running) {
        if (!off.has(name)) gap.reason = 'lost';
        probe.onLoss?.(cpu, untilNs);
      }
    },
  };
}
