/**
 * Trace clocks: what a recording says of its clock in, nanoseconds a stamp counts out. Source: kernel/trace/trace.c,
 * trace_clocks[]; trace-cmd's timestamp_calc().
 */
import type { Facts } from './options.ts';

const NANOSECONDS: ReadonlySet<string> = new Set([
  'local',
  'global',
  'perf',
  'mono',
  'mono_raw',
  'boot',
  'tai',
]);
/** Stamps of the processor's counter; `tsc2nsec` is trace-cmd's name for it with the numbers to convert it. */
const TSC: ReadonlySet<string> = new Set(['x86-tsc', 'tsc2nsec']);
const LARGEST_SHIFT = 63;

export interface Clock {
  name: string;
  /** Undefined: the stamps give an order, but no durations. */
  nsPerStamp: number | undefined;
  problems: string[];
}

/** `ofBuffer`: the clock that the buffer's own option names, which trace-cmd 3.1 gets wrong for instances. */
export function clockOf(facts: Facts, ofBuffer: string): Clock {
  const problems: string[] = [];
  // Files of old versions without the option were recorded with the kernel's default.
  const name = facts.clock || ofBuffer || 'local';
  const { tsc2nsec } = facts;
  let nsPerStamp = NANOSECONDS.has(name) ? 1 : undefined;
  if (tsc2nsec !== undefined) {
    const { mult, shift } = tsc2nsec;
    if (!TSC.has(name)) problems.push(`the option TSC2NSEC is not applied: the clock is ${name}`);
    else if (mult > 0 && shift <= LARGEST_SHIFT) nsPerStamp = mult / 2 ** shift;
    else problems.push(`the option TSC2NSEC is not applied: ${mult} / 2^${shift} ns cannot be`);
  }
  if (nsPerStamp === undefined)
    problems.push(
      `the stamps of the clock ${name} are not nanoseconds: events are counted, but there are no durations; record with the clock mono for those`,
    );
  if (facts.shifts.size > 0)
    problems.push(
      `not applied: the option ${[...facts.shifts].join(', ')}, which shifts all stamps alike and changes no duration`,
    );
  if (facts.hasTimeShift)
    problems.push(
      "not applied: the option TIME_SHIFT of a guest's recording; durations are in the time of the guest",
    );
  return { name, nsPerStamp, problems };
}
