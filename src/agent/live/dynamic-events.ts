/**
 * Defines the kprobes and uprobes of metrics in the config. If an agent was killed, the next agent of the same name, or
 * `cleanup`, removes its events.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { functionOffset } from '../../host/elf.ts';
import type { DeclaredMetric, EventChoice } from '../../model/declared-metric.ts';
import { type DynamicEvent, dynamicGroup } from '../../model/dynamic-event.ts';
import { KernelError, reasonOf } from '../../model/errors.ts';
import type { UserMetricOptions } from '../../probes/declared/user-metric.ts';
import { defineEvent, missedHits, removeEvents } from '../../tracefs/dynamic-events.ts';
import { disableEvents } from '../../tracefs/events.ts';
import { quietly } from '../../tracefs/instance.ts';
import type { EnabledProbe } from '../plan/plan.ts';

export interface DynamicEvents {
  /** Why events could not be defined, by event. */
  refused: ReadonlyMap<string, string>;
  /** Returns the kprobe hits that the kernel has missed since the last call, by probe. */
  missed(): ReadonlyMap<string, number>;
  /**
   * Defines the events that these probes need, and removes the agent's others. `release` must disable the removed
   * events: the kernel refuses to remove enabled events.
   */
  update(probes: readonly EnabledProbe[], release: (events: readonly string[]) => void): void;
  /** Disables all events of the instance, then removes the agent's kprobes and uprobes. Throws `KernelError`. */
  remove(instanceDir: string): void;
}

/** Registers of a function's first six arguments, by architecture. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  x64: ['%di', '%si', '%dx', '%cx', '%r8', '%r9'],
  arm64: ['%x0', '%x1', '%x2', '%x3', '%x4', '%x5'],
};

/** Returns the kprobes and uprobes that these probes need. */
export function wantedEvents(
  probes: readonly EnabledProbe[],
): { probe: string; event: string; definition: DynamicEvent }[] {
  return probes.flatMap(({ module, options }) => {
    const metric: DeclaredMetric | undefined = (options as Partial<UserMetricOptions>).metric;
    const choices: EventChoice[] =
      metric === undefined ? [] : [...(metric.start ? [metric.start] : []), metric.event];
    return choices.flatMap(({ event, defined }) =>
      defined === undefined ? [] : [{ probe: module.name, event, definition: defined }],
    );
  });
}

export function defineEvents(root: string, instance: string, probes: readonly EnabledProbe[]): DynamicEvents {
  const group = dynamicGroup(instance);
  const defined = new Map<string, DynamicEvent>();
  const refused = new Map<string, string>();
  const add = (wanted: ReturnType<typeof wantedEvents>): void => {
    refused.clear();
    for (const { event, definition } of wanted) {
      if (defined.has(event)) continue;
      try {
        defineEvent(root, event, withRegisters(definition), placeOf(definition));
        defined.set(event, definition);
      } catch (error) {
        refused.set(event, reasonOf(error));
      }
    }
  };
  let kprobes: ReturnType<typeof wantedEvents> = [];
  let before: ReadonlyMap<string, number> = new Map();
  const follow = (wanted: ReturnType<typeof wantedEvents>): void => {
    add(wanted);
    const isKprobe = ({ event, definition: { kind } }: (typeof wanted)[number]) =>
      kind.startsWith('k') && defined.has(event);
    kprobes = wanted.filter(isKprobe);
  };
  follow(wantedEvents(probes));
  return {
    refused,
    missed: () => {
      const grown = new Map<string, number>();
      if (kprobes.length === 0) return grown;
      const now = missedHits(root, group);
      for (const { probe, event } of kprobes) {
        const more = (now.get(event) ?? 0) - (before.get(event) ?? 0);
        if (more > 0) grown.set(probe, (grown.get(probe) ?? 0) + more);
      }
      before = now;
      return grown;
    },
    update: (later, release) => {
      const wanted = wantedEvents(later);
      const isWanted = (event: string, definition: DynamicEvent) =>
        wanted.some((one) => one.event === event && isDeepStrictEqual(one.definition, definition));
      const gone = [...defined].flatMap(([event, one]) => (isWanted(event, one) ? [] : [event]));
      if (gone.length > 0) {
        release(gone);
        const problems = removeEvents(root, group, (event) => gone.includes(event));
        if (problems.length > 0) throw notRemoved(root, problems);
        for (const event of gone) defined.delete(event);
        before = new Map([...before].filter(([event]) => !gone.includes(event)));
      }
      follow(wanted);
    },
    remove: (dir) => {
      if (defined.size === 0) return;
      // The kernel refuses to remove an enabled event.
      quietly(() => disableEvents(dir));
      const problems = removeEvents(root, group);
      if (problems.length > 0) throw notRemoved(root, problems);
    },
  };
}

function notRemoved(root: string, problems: readonly string[]): KernelError {
  const file = join(root, 'dynamic_events');
  return new KernelError({ file, errno: '', action: 'remove events from', remedy: problems.join('; ') });
}

/** Returns `FUNCTION+OFFSET` or `PATH:OFFSET`. Throws if the file of a uprobe does not contain the function. */
export function placeOf({ kind, target }: DynamicEvent): string {
  if (kind.startsWith('k')) return target;
  const colon = target.lastIndexOf(':');
  const path = target.slice(0, colon);
  const [symbol, more = '0'] = target.slice(colon + 1).split('+');
  const offset = symbol.startsWith('0x') ? Number(symbol) : functionOffset(path, symbol);
  return `${path}:0x${(offset + Number(more)).toString(16)}`;
}

/** Replaces `$arg1` to `$arg6` in uprobes by registers, because the kernel supports `$argN` only in kprobes. */
function withRegisters(definition: DynamicEvent): DynamicEvent {
  const registers = definition.kind.startsWith('u') ? ARGUMENTS[process.arch] : undefined;
  if (registers === undefined) return definition;
  const entries = Object.entries(definition.args).map(([name, expression]) => [
    name,
    expression.replace(/\$arg([1-6])/g, (_, n: string) => registers[Number(n) - 1]),
  ]);
  return { ...definition, args: Object.fromEntries(entries) };
}
