import { readFileSync } from 'node:fs';
import type { Log } from '../../model/log.ts';
import { functionAddresses } from '../../tracefs/functions.ts';

/**
 * Returns the text of /proc/kallsyms. If that file hides the addresses, returns traceable functions in the same format;
 * '' if tracefs has no addresses either.
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
