/** Capabilities and pid namespace of this process, from /proc/self, for `doctor`. */
import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessFacts {
  uid: number;
  /** Effective capabilities in hexadecimal, as the kernel prints them; '' if unknown. The agent needs none. */
  capabilities: string;
  /** Whether process ids in this namespace differ from those in the kernel's events. Undefined if unknown. */
  inPidNamespace: boolean | undefined;
}

/** Inode of the initial pid namespace: PROC_PID_INIT_INO in include/linux/proc_ns.h. */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';

export function processFacts(): ProcessFacts {
  const status = attempt(() => readFileSync('/proc/self/status', 'utf8')) ?? '';
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return {
    uid: process.getuid?.() ?? -1,
    capabilities: /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1].replace(/^0+(?=.)/, '') ?? '',
    inPidNamespace: namespace === undefined ? undefined : namespace !== INITIAL_PID_NAMESPACE,
  };
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
