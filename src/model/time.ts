/**
 * Nanoseconds on the trace clock (`mono`: CLOCK_MONOTONIC), as a double. Exact for the first 104 days of uptime, later
 * rounded to 2 ns. Never 0 for a recorded event, so 0 can mean "none".
 */
export type TimestampNs = number;

export type DurationNs = number;

/** Weight of the high word of a 64-bit value. */
export const TWO_POW_32 = 4294967296;
