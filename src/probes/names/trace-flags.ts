/**
 * Bits of `common_flags` that are set if the event occurred in a hard interrupt, a softirq or an NMI: TRACE_FLAG_* in
 * include/linux/trace_events.h.
 */
export const IN_HARD_INTERRUPT = 0x08;
export const IN_SOFTIRQ = 0x10;
export const IN_NMI = 0x40;
export const IN_INTERRUPT = IN_HARD_INTERRUPT | IN_SOFTIRQ | IN_NMI;
