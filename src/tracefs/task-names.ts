/** Stops the kernel from saving names of tasks. Source: trace_event_enable_cmd_record in kernel/trace/trace_events.c. */
import { join } from 'node:path';
import { tryReadText } from './files.ts';
import type { Instance } from './instance.ts';
import { tracingDirs } from './others.ts';

/**
 * While an instance has the option `record-cmd` and an enabled event, the kernel saves the names of tasks at every
 * switch. Only text of the kernel contains these names. Switches the option off, unless an event is enabled anywhere:
 * then the write would also stop the names for the instances of others. Returns whether the option is off. Throws
 * `KernelError`.
 */
export function saveNoTaskNames(instance: Instance): boolean {
  const isEnabled = (dir: string) => tryReadText(join(dir, 'events', 'enable'))?.trim() !== '0';
  if (tracingDirs(instance.root).some(isEnabled)) return false;
  instance.set('trace_options', 'norecord-cmd');
  return true;
}
