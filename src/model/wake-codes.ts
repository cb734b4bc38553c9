/**
 * Encodes what woke a task as a number: a kind (`BY_…`) in the low 3 bits, and the number of an interrupt handler or
 * softirq vector in the others.
 */
/** Another task woke the task. */
export const BY_TASK = 0;
/** A softirq woke the task right after another task raised the softirq. Example: a task sends data over loopback. */
export const BY_RAISED_SOFTIRQ = 1;
/** An interrupt handler woke the task. */
export const BY_IRQ = 2;
/** A softirq woke the task. Either an interrupt raised the softirq, or the softirq ran in ksoftirqd. */
export const BY_SOFTIRQ = 3;
export const BY_TIMER = 4;
/** A hardware interrupt woke the task, but no event names the interrupt. */
export const BY_INTERRUPT = 5;
/** No event shows what woke the task. */
export const BY_UNKNOWN = 6;

const KIND_BITS = 3;
const KIND_MASK = (1 << KIND_BITS) - 1;
/** Larger numbers of a handler or vector lose their high bits. */
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
