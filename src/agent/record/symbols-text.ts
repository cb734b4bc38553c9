/** The symbols that a recording contains if a probe reads addresses of functions. */
import { readFileSync } from 'node:fs';
import type { Log } from '../../model/log.ts';
import { functionAddresses } from '../../tracefs/functions.ts';

/**
 * Symbols of all functions, in the format of /proc/kallsyms, which shows addresses to every user who may trace
 * functions. '' if they are hidden; the recording then has only addresses.
 */
export function symbolsText(root: string, log: Log): string {
  const text = readFileSync('/proc/kallsyms', 'utf8');
  if (/^0*[1-9a-f]/m.test(text)) return text;
  const addresses = functionAddresses(root);
  if (addresses === undefined) {
    log.warn({}, 'this kernel hides function addresses, so the recording will have no function names');
    return '';
  }
  const hex = (word: number) => word.toString(16).padStart(8, '0');
  return addresses.names
    .map((name, i) => `${hex(addresses.high[i])}${hex(addresses.low[i])} t ${name}\n`)
    .join('');
}
