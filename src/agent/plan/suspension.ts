/**
 * Suspends probes of a plan. A suspended probe gets no events: its handlers are removed, and events that no other probe
 * reads need not be recorded. Operations that are open when it begins, or that begin meanwhile, count as `suspended`.
 */
import type { EventHandler } from '../../model/record.ts';
import type { TimestampNs } from '../../model/time.ts';
import type { Probe, UnmatchedReason } from '../../probes/probe.ts';

/** The handlers of an event, and the name of each handler's probe. */
export interface SharedEvent {
  event: string;
  /** Called for each record, in this order. A suspension changes the list. */
  handlers: EventHandler[];
  owners: readonly string[];
}

/** The latest period in which a probe missed events. Operations that began before its end have no duration. */
export interface Gap {
  reason: 'lost' | 'suspended';
  /** Whether some or all events of the probe are switched off now. They are switched off one after the other. */
  isOff: boolean;
}

/** Counts operations without a duration as `suspended` if a suspension is the cause. Makes that series when needed. */
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
  /** Returns the events that no probe needs any more. The suspended probe still handles those recorded before. */
  suspend(name: string): string[];
  /** Removes the handlers and the open operations of a suspended probe that has handled its events up to `untilNs`. */
  detach(name: string, untilNs: TimestampNs): void;
  /** Returns the events that are needed again. */
  resume(name: string): string[];
  /** The probe's events are recorded again since `untilNs`. Drops its operations that began before. */
  attach(name: string, untilNs: TimestampNs): void;
  /** Events of one probe were lost, on an unknown CPU. */
  onLossOf(name: string, untilNs: TimestampNs): void;
  /** Events of this CPU were lost, for all probes. */
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
      // The event is not recorded, so the list of its handlers does not matter.
      if (!isNeeded(shared)) return;
      const handlers = all[i].filter((_, at) => !off.has(shared.owners[at]));
      shared.handlers.splice(0, shared.handlers.length, ...handlers);
    });
  };

  /** Probes with this name. Helpers are named by their purpose, so several can have the same name. */
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
