/**
 * Finds out which interrupt, softirq or timer woke a task (include/trace/events/irq.h, timer.h). All events are
 * optional.
 */

import type { EventHandler } from '../../model/record.ts';
import { SOFTIRQS } from '../../model/softirqs.ts';
import {
  BY_IRQ,
  BY_RAISED_SOFTIRQ,
  BY_SOFTIRQ,
  BY_TIMER,
  wakeKind,
  wakeNumber,
} from '../../model/wake-codes.ts';
import { HandlerNames } from '../names/handler-names.ts';
import type { EventNeed, ProbeContext } from '../probe.ts';
import type { WakeContexts } from './wake-contexts.ts';

const IRQ_ENTRY = 'irq:irq_handler_entry';
const IRQ_EXIT = 'irq:irq_handler_exit';
const RAISE = 'irq:softirq_raise';
const SOFTIRQ_ENTRY = 'irq:softirq_entry';
const SOFTIRQ_EXIT = 'irq:softirq_exit';
/** A timer's function runs between the entry event and the exit event. */
const TIMER_ENTRIES = ['timer:hrtimer_expire_entry', 'timer:timer_expire_entry'];
const TIMER_EXITS = ['timer:hrtimer_expire_exit', 'timer:timer_expire_exit'];

const UNNAMED = 'traces do not show which interrupt ended a sleep';
const NO_TIMERS = 'traces do not show which timer ended a sleep';

export const WAKE_CONTEXT_NEEDS: readonly EventNeed[] = [
  { event: IRQ_ENTRY, fields: ['irq', 'name'], without: UNNAMED },
  { event: IRQ_EXIT, fields: [], without: UNNAMED },
  { event: RAISE, fields: ['vec', 'common_pid', 'common_flags'], without: UNNAMED },
  { event: SOFTIRQ_ENTRY, fields: ['vec'], without: UNNAMED },
  { event: SOFTIRQ_EXIT, fields: [], without: UNNAMED },
  ...[...TIMER_ENTRIES, ...TIMER_EXITS].map((event) => ({
    event,
    fields: ['common_flags'],
    without: NO_TIMERS,
  })),
];

export interface WakeContextEvents {
  handlers: Record<string, EventHandler>;
  /**
   * Converts a wake code (wake-codes.ts) to a name such as `irq virtio0-req.0` or `timer`; undefined for other wakers.
   */
  nameOf(code: number): string | undefined;
}

export function wakeContextEvents(context: ProbeContext, contexts: WakeContexts): WakeContextEvents {
  const names = new HandlerNames();
  const handlers: Record<string, EventHandler> = {};
  const has = (...events: string[]) => events.every((event) => context.format(event) !== undefined);
  // Without exit events, a handler would seem to run forever.
  if (has(IRQ_ENTRY, IRQ_EXIT)) {
    const irqOf = context.int(IRQ_ENTRY, 'irq');
    const nameOf = context.bytes(IRQ_ENTRY, 'name');
    handlers[IRQ_ENTRY] = (record) =>
      contexts.irqBegins(
        record.cpu,
        names.find(irqOf(record), record, nameOf.start(record), nameOf.end(record)),
      );
    handlers[IRQ_EXIT] = ({ cpu }) => contexts.irqEnds(cpu);
  }
  if (has(SOFTIRQ_ENTRY, SOFTIRQ_EXIT)) {
    const vectorOf = context.int(SOFTIRQ_ENTRY, 'vec');
    handlers[SOFTIRQ_ENTRY] = (record) => contexts.softirqBegins(record.cpu, vectorOf(record));
    handlers[SOFTIRQ_EXIT] = ({ cpu }) => contexts.softirqEnds(cpu);
  }
  if (has(RAISE)) {
    const vectorOf = context.int(RAISE, 'vec');
    const pidOf = context.int(RAISE, 'common_pid');
    const flagsOf = context.int(RAISE, 'common_flags');
    handlers[RAISE] = (record) =>
      contexts.softirqRaised(record.cpu, vectorOf(record), flagsOf(record), pidOf(record));
  }
  TIMER_ENTRIES.forEach((entry, i) => {
    if (!has(entry, TIMER_EXITS[i])) return;
    for (const [event, runs] of [
      [entry, 1],
      [TIMER_EXITS[i], 0],
    ] as const) {
      const flagsOf = context.int(event, 'common_flags');
      handlers[event] = (record) => contexts.timer(record.cpu, flagsOf(record), runs);
    }
  });
  return {
    handlers,
    nameOf: (code) => {
      const number = wakeNumber(code);
      switch (wakeKind(code)) {
        case BY_TIMER:
          return 'timer';
        case BY_IRQ:
          return `irq ${names.names[number]}`;
        case BY_SOFTIRQ:
        case BY_RAISED_SOFTIRQ:
          return `softirq ${SOFTIRQS[number] ?? `vector_${number}`}`;
        default:
          return undefined;
      }
    },
  };
}
