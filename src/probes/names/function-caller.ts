/** Reads the caller and the address from records of the function and function_graph tracers. */
import type { EventRecord, IntReader } from '../../model/record.ts';
import type { ProbeContext } from '../probe.ts';
import { IN_INTERRUPT } from './trace-flags.ts';

export interface FunctionCaller {
  /**
   * Whether the agent called the function. If true, counts the call as ignored. False in an interrupt, which the agent
   * did not cause.
   */
  isOurs(record: EventRecord): boolean;
  inInterrupt(record: EventRecord): boolean;
  /** Index of the low word of the function's address, from the payload's first word. */
  addressAt: number;
  /** Whether an address has two words, as in events of 64-bit kernels. */
  isWide: boolean;
  /** Words of the function's address. */
  low: IntReader;
  high: IntReader;
}

export function functionCaller(context: ProbeContext, event: string, address: string): FunctionCaller {
  const { isSelf, ignoreSelf } = context;
  const pidAt = context.word(event, 'common_pid');
  const flagsOf = context.int(event, 'common_flags');
  const addressAt = context.word(event, address);
  const isWide = context.format(event)?.fields.find((field) => field.name === address)?.size === 8;
  return {
    addressAt,
    isWide,
    isOurs: (record) => {
      if (!isSelf(record.words[(record.offset >> 2) + pidAt])) return false;
      if ((flagsOf(record) & IN_INTERRUPT) !== 0) return false;
      ignoreSelf();
      return true;
    },
    inInterrupt: (record) => (flagsOf(record) & IN_INTERRUPT) !== 0,
    low: ({ words, offset }) => words[(offset >> 2) + addressAt],
    // In recordings of 32-bit kernels, an address is one word.
    high: isWide ? ({ words, offset }) => words[(offset >> 2) + addressAt + 1] : () => 0,
  };
}
