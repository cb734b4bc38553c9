/**
 * What woke a task, as a number: a kind, and above it the number of an interrupt handler or the vector of a softirq.
 * Probes make these numbers for every wake-up; the names are looked up when a trace needs them.
 */
/** A task did it. */
export const BY_TASK = 0;
/** A task raised a softirq, which ran at once and did it: data sent to this machine itself, for example. */
export const BY_RAISED_SOFTIRQ = 1;
/** The handler of an interrupt. */
export const BY_IRQ = 2;
/** A softirq that an interrupt raised, or that runs in ksoftirqd. */
export const BY_SOFTIRQ = 3;
export const BY_TIMER = 4;
/** An interrupt that no event names. */
export const BY_INTERRUPT = 5;
/** No event reported the wake-up. */
export const BY_UNKNOWN = 6;

const KIND_BITS = 3;
const KIND_MASK = (1 << KIND_BITS) - 1;
/** Bits of a number; the numbers of handlers need fewer. */
const NUMBER_MASK = (1 << 13) - 1;
/** Bits that a code takes. */
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
