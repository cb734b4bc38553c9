/** Keeps a ring buffer per CPU of long interrupts, to show which interrupts delayed a slow syscall. */
import type { TimestampNs } from '../model/time.ts';
import type { SpanDraft } from './draft.ts';

const DEPTH = 256;
/** Shorter interrupts are not reported, because they do not explain a slow operation. */
export const LONG_INTERRUPT_NS = 50_000;

interface Interrupt {
  kind: 'irq' | 'softirq';
  name: string;
  startNs: TimestampNs;
  endNs: TimestampNs;
}

export class InterruptJournal {
  readonly #byCpu: { ring: Interrupt[]; next: number }[] = [];

  add(kind: 'irq' | 'softirq', name: string, cpu: number, startNs: TimestampNs, endNs: TimestampNs): void {
    this.#byCpu[cpu] ??= { ring: [], next: 0 };
    const held = this.#byCpu[cpu];
    held.ring[held.next] = { kind, name, startNs, endNs };
    held.next = (held.next + 1) % DEPTH;
  }

  /** Returns spans of the interrupts within a period on a CPU. Nested interrupts become children. */
  spans(cpu: number, fromNs: TimestampNs, toNs: TimestampNs): SpanDraft[] {
    const interrupts = (this.#byCpu[cpu]?.ring ?? []).filter((i) => i.startNs >= fromNs && i.endNs <= toNs);
    interrupts.sort((a, b) => a.startNs - b.startNs || b.endNs - a.endNs);
    const top: (SpanDraft & { children: SpanDraft[] })[] = [];
    for (const interrupt of interrupts) {
      const span = spanOf(interrupt, cpu);
      const before = top.at(-1);
      if (before === undefined || interrupt.startNs >= before.endNs) top.push(span);
      else if (interrupt.endNs <= before.endNs && interrupt.startNs >= (before.children.at(-1)?.endNs ?? 0))
        before.children.push(span);
    }
    return top;
  }
}

function spanOf({ kind, name, startNs, endNs }: Interrupt, cpu: number) {
  const key = kind === 'irq' ? 'ftrace.irq.handler' : 'ftrace.softirq.vector';
  const children: SpanDraft[] = [];
  const causes = [{ label: `${kind} ${name}`, ns: endNs - startNs }];
  return {
    name: kind,
    startNs,
    endNs,
    attributes: { [key]: name, 'cpu.logical_number': cpu },
    children,
    causes,
  };
}

export function isInterrupt({ name }: SpanDraft): boolean {
  return name === 'irq' || name === 'softirq';
}
