/** Disables and enables events of suspended probes, and recognises inotify's reports of these writes. */
import { join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import type { Log } from '../../model/log.ts';
import type { Instance } from '../../tracefs/instance.ts';
import { enableOf } from '../../tracefs/instance-state.ts';

export interface OwnSwitches {
  /** Events that the agent has disabled. */
  off: ReadonlySet<string>;
  isOwnWrite(file: string): boolean;
  /** Only logs a refusal of the kernel, because the next check of the buffer finds the difference. */
  switchEvents(events: readonly string[], isOn: boolean): void;
}

export function makeOwnSwitches(instance: Instance, log: Log): OwnSwitches {
  const off = new Set<string>();
  const written = new Set<string>();
  return {
    off,
    isOwnWrite: (file) => written.has(file),
    switchEvents: (events, isOn) => {
      // inotify reports these writes before the next setImmediate callback runs.
      setImmediate(() => written.clear());
      for (const event of events) {
        const file = enableOf(event);
        written.add(join(instance.dir, file));
        if (isOn) off.delete(event);
        else off.add(event);
        try {
          instance.set(file, isOn ? '1' : '0');
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
          log.error({ reason: error.message }, 'cannot switch an event of a suspended probe on or off');
        }
      }
    },
  };
}
