/** Stops the kernel from saving names of tasks. Source: trace_event_enable_cmd_record in kernel/trace/trace_events.c. */
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { tracingDirs } from './others.ts';

/**
 * While an instance has the option `record-cmd` and an enabled event, the kernel saves the names of tasks at every
 * switch. Only text of the kernel contains these names. Switches the option off, unless an event is enabled anywhere:
 * then the write would also stop the names for the instances of others. Returns whether the option is off.
 */
export function saveNoTaskNames(instance: Instance): boolean {
  const isEnabled = (dir: string) => tryReadText(join(dir, 'events', 'enable'))?.trim() !== '0';
  const dirs = tracingDirs(instance.root);
  if (!dirs.includes(instance.dir) || dirs.some(isEnabled)) return false;
  try {
    instance.set('trace_options', 'norecord-cmd');
    return true;
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return false;
  }
}
