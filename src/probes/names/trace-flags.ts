/** Bits of `common_flags`: TRACE_FLAG_* in include/linux/trace_events.h. */
export const IN_HARD_INTERRUPT = 0x08;
export const IN_SOFTIRQ = 0x10;
export const IN_NMI = 0x40;
export const IN_INTERRUPT = IN_HARD_INTERRUPT | IN_SOFTIRQ | IN_NMI;
