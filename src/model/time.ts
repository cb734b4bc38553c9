/**
 * Nanoseconds on the trace clock (`mono`: CLOCK_MONOTONIC, the clock of `process.hrtime`), as a double. Exact for the
 * first 104 days of uptime, later rounded to 2 ns. Never 0 for a recorded event, so 0 can mean "none".
 */
export type TimestampNs = number;

/** A span of time in nanoseconds, as a double. */
export type DurationNs = number;

/** 2^32 as a double: the weight of the high word of a 64-bit value read as two 32-bit words. */
export const TWO_POW_32 = 4294967296;
