/**
 * Encodes what woke a task as a number: the low bits contain a kind, the other bits the number of an interrupt handler
 * or a softirq vector. Probes make a code for every wake-up; the name is looked up only if a trace needs it.
 */
/** Another task woke the task. */
export const BY_TASK = 0;
/** A softirq woke the task right after another task raised the softirq, as when data is sent to the same machine. */
export const BY_RAISED_SOFTIRQ = 1;
/** An interrupt handler woke the task. */
export const BY_IRQ = 2;
/** A softirq woke the task. An interrupt raised the softirq, or it ran in ksoftirqd. */
export const BY_SOFTIRQ = 3;
export const BY_TIMER = 4;
/** An interrupt woke the task, but no event names the interrupt. */
export const BY_INTERRUPT = 5;
/** No event shows what woke the task. */
export const BY_UNKNOWN = 6;

const KIND_BITS = 3;
const KIND_MASK = (1 << KIND_BITS) - 1;
/** Mask of the number; the numbers of handlers need fewer bits. */
const NUMBER_MASK = (1 << 13) - 1;
/** Number of bits in a code. */
export const CODE_BITS = 16;

export function wakeCode(kind: number, number = 0): number {
  return kind | ((number & NUMBER_MASK) << KIND_BITS);
}

export function wakeKind(code: number): number {
  return code & KIND_MASK;
}

export function wakeNumber(code: number): number {
  return code >> KIND_BITS;
}
