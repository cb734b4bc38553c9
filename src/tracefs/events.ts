/** Lists and enables this kernel's events, and reads their formats. Source: kernel/trace/trace_events.c. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import { readText, tryReadText, writeControl } from './files.ts';

/** Matches `system:name`. Excludes paths, options, commands, and names that consist only of dots. */
const EVENT = /^(?!\.+:)[A-Za-z0-9_.-]+:(?!\.+$)[A-Za-z0-9_.-]+$/;

/** Returns all events that can be enabled, as `system:name`, in the kernel's order. Throws `KernelError`. */
export function listEvents(root: string): string[] {
  const text = tryReadText(join(root, 'available_events'));
  if (text !== undefined) return text.split('\n').filter((event) => EVENT.test(event));
  const dir = join(root, 'events');
  const events: string[] = [];
  for (const system of subdirectories(dir)) {
    for (const name of subdirectories(join(dir, system))) {
      const event = `${system}:${name}`;
      // Events of the system `ftrace` are records of tracers. They have a format, but cannot be enabled.
      if (system !== 'ftrace' && EVENT.test(event)) events.push(event);
    }
  }
  if (events.length === 0) readText(join(root, 'available_events'));
  return events;
}

function subdirectories(dir: string): string[] {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Returns the text of an event's format file, or undefined if the event does not exist or its name is invalid. */
export function formatText(root: string, event: string): string | undefined {
  return EVENT.test(event) ? tryReadText(join(eventDir(root, event), 'format')) : undefined;
}

/** At the top level, `write` must save old values in the journal. Throws `KernelError`; earlier events stay enabled. */
export function enableEvents(
  instanceDir: string,
  events: readonly string[],
  write: (file: string, value: string) => void = (file, value) => writeControl(instanceDir, file, value),
): void {
  for (const event of events) {
    if (!EVENT.test(event)) {
      const remedy = 'write an event as "system:name", as in `ftrace-exporter list events`';
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

/** Disables all events, because an enabled event costs time even while recording is off. */
export function disableEvents(instanceDir: string): void {
  writeControl(instanceDir, join('events', 'enable'), '0');
}

function eventDir(root: string, event: string): string {
  return join(root, 'events', event.replace(':', '/'));
}
