/** Bits of `common_flags`: hard and soft interrupts, NMIs (include/linux/trace_events.h, TRACE_FLAG_HARDIRQ and others). */
export const IN_INTERRUPT = 0x08 | 0x10 | 0x40;
