/** Which events this kernel offers, their formats, and enabling them. Source: kernel/trace/trace_events.c. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { readText, tryReadText, writeControl } from './files.ts';

/** `system:name`. Nothing that passes can be a path, an option or a command; `..` alone is refused too. */
const EVENT = /^(?!\.+:)[A-Za-z0-9_.-]+:(?!\.+$)[A-Za-z0-9_.-]+$/;

/** All events that can be enabled, as `system:name`, in the kernel's order. Throws `KernelError`. */
export function listEvents(root: string): string[] {
  const text = tryReadText(join(root, 'available_events'));
  if (text !== undefined) return text.split('\n').filter((event) => EVENT.test(event));
  const dir = join(root, 'events');
  const found: string[] = [];
  for (const system of subdirectories(dir)) {
    for (const name of subdirectories(join(dir, system))) {
      const event = `${system}:${name}`;
      // Events of the system "ftrace" are the tracers' own records: they have a format and no switch.
      if (system !== 'ftrace' && EVENT.test(event)) found.push(event);
    }
  }
  if (found.length === 0) readText(join(root, 'available_events'));
  return found;
}

function subdirectories(dir: string): string[] {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Text of an event's format file; undefined where this kernel does not have the event, or the name is none. */
export function formatText(root: string, event: string): string | undefined {
  return EVENT.test(event) ? tryReadText(join(eventDir(root, event), 'format')) : undefined;
}

/**
 * Enables events in an instance; `write` does the writing where more is to be done than that. Throws `KernelError` at
 * the first that cannot be; those before stay enabled.
 */
export function enableEvents(
  instanceDir: string,
  events: readonly string[],
  write: (file: string, value: string) => void = (file, value) => writeControl(instanceDir, file, value),
): void {
  for (const event of events) {
    if (!EVENT.test(event)) {
      const remedy = 'an event is written "system:name", as in `ftrace-exporter list events`';
      throw new KernelError({
        file: instanceDir,
        errno: 'EINVAL',
        action: 'enable in',
        value: event,
        remedy,
      });
    }
    const file = join('events', event.replace(':', '/'), 'enable');
    write(file, '1');
  }
}

/** Disables whatever events an instance has enabled: an armed tracepoint costs even when nobody records. */
export function disableEvents(instanceDir: string): void {
  writeControl(instanceDir, join('events', 'enable'), '0');
}

function eventDir(root: string, event: string): string {
  return join(root, 'events', event.replace(':', '/'));
}
