/** Finds the trace clock of a recording, and the length of one timestamp unit. */
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
/** Clocks that count CPU cycles. The option TSC2NSEC contains the factors to convert cycles to nanoseconds. */
const TSC: ReadonlySet<string> = new Set(['x86-tsc', 'tsc2nsec']);
const LARGEST_SHIFT = 63;

export interface Clock {
  name: string;
  /** Nanoseconds per timestamp unit. If undefined, timestamps show the order of events, but no durations. */
  nsPerStamp: number | undefined;
  problems: string[];
}

/** Prefers the clock of the whole file to `bufferClock`, because trace-cmd 3.1 writes a wrong clock for instances. */
export function clockOf(facts: Facts, bufferClock: string): Clock {
  const problems: string[] = [];
  // A file that names no clock is from an old trace-cmd, which used the kernel's default clock.
  const name = facts.clock || bufferClock || 'local';
  const { tsc2nsec } = facts;
  let nsPerStamp = NANOSECONDS.has(name) ? 1 : undefined;
  if (tsc2nsec !== undefined) {
    const { mult, shift } = tsc2nsec;
    if (!TSC.has(name)) problems.push(`the option TSC2NSEC is not applied: the clock is ${name}`);
    else if (mult > 0 && shift <= LARGEST_SHIFT) nsPerStamp = mult / 2 ** shift;
    else problems.push(`the option TSC2NSEC is not applied: the factor ${mult} / 2^${shift} ns is invalid`);
  }
  if (nsPerStamp === undefined)
    problems.push(
      `timestamps of the clock ${name} are not nanoseconds: events are counted, but there are no durations; to get them, record with the clock mono`,
    );
  if (facts.shifts.size > 0)
    problems.push(
      `ignored the option ${[...facts.shifts].join(', ')}, which shifts all timestamps equally and changes no duration`,
    );
  if (facts.hasTimeShift)
    problems.push("ignored the option TIME_SHIFT of a guest's recording: durations are in the guest's time");
  return { name, nsPerStamp, problems };
}
