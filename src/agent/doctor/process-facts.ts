/** Capabilities and pid namespace of this process, from /proc/self, for `doctor`. */
import { readFileSync } from 'node:fs';
import { isFirstPidNamespace } from '../../host/kernel-numbers.ts';

export interface ProcessFacts {
  uid: number;
  /** Effective capabilities in hexadecimal, without leading zeros; '' if unknown. */
  capabilities: string;
  /** Whether process ids of this process differ from those in the kernel's events. Undefined if unknown. */
  inPidNamespace: boolean | undefined;
}

export function processFacts(): ProcessFacts {
  const status = attempt(() => readFileSync('/proc/self/status', 'utf8')) ?? '';
  const isFirst = isFirstPidNamespace();
  return {
    uid: process.getuid?.() ?? -1,
    capabilities: /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1].replace(/^0+(?=.)/, '') ?? '',
    inPidNamespace: isFirst === undefined ? undefined : !isFirst,
  };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
