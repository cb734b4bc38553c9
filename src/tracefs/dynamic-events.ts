/** Defines and removes kprobes and uprobes. Definitions are system-wide; each instance enables events separately. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DynamicEvent } from '../model/dynamic-event.ts';
import { KernelError } from '../model/errors.ts';
import { tryReadText, writeControl } from './files.ts';

const KPROBES = 'kprobe_events';
const UPROBES = 'uprobe_events';
/** Matches a line of `kprobe_events` or `uprobe_events` and captures `group/name`. */
const DEFINITION = /^[pr]\d*:(\S+)/gm;

/** Returns `kprobe_events` or `uprobe_events`. Throws a `KernelError` if the kernel lacks the file. */
export function definitionsFile(root: string, { kind }: Pick<DynamicEvent, 'kind'>): string {
  const isKernel = kind.startsWith('k');
  const file = isKernel ? KPROBES : UPROBES;
  if (existsSync(join(root, file))) return file;
  const remedy = `this kernel is built without ${isKernel ? 'kprobes' : 'uprobes'}`;
  throw new KernelError({ file: join(root, file), errno: 'ENOENT', action: 'define an event in', remedy });
}

/** Defines an event at `place`: `SYMBOL+OFFSET` in the kernel, `PATH:0xOFFSET` in a program. Throws `KernelError`. */
export function defineEvent(root: string, event: string, definition: DynamicEvent, place: string): void {
  const { kind, args } = definition;
  const file = definitionsFile(root, definition);
  const letter = kind.endsWith('retprobe') ? 'r' : 'p';
  const fields = Object.entries(args).map(([name, expression]) => ` ${name}=${expression}`);
  writeControl(root, file, `${letter}:${event.replace(':', '/')} ${place}${fields.join('')}`);
}

/** Returns the events of a group, as `system:name`. The system is the group. */
export function definedEvents(root: string, group: string): string[] {
  return [KPROBES, UPROBES].flatMap((file) => linesOf(root, file, group).map(([event]) => event));
}

/** Removes the events that `isGone` selects. Returns an error message per event that the kernel does not remove. */
export function removeEvents(
  root: string,
  group: string,
  isGone: (event: string) => boolean = () => true,
): string[] {
  return [KPROBES, UPROBES].flatMap((file) =>
    linesOf(root, file, group).flatMap(([event]) => {
      if (!isGone(event)) return [];
      try {
        writeControl(root, file, `-:${event.replace(':', '/')}`);
        return [];
      } catch (error) {
        if (error instanceof KernelError) return [error.message];
        throw error;
      }
    }),
  );
}

/** Returns missed hits per kprobe. `kprobe_profile` shows no groups, but has the same order as `kprobe_events`. */
export function missedHits(root: string, group: string): Map<string, number> {
  const counts = (tryReadText(join(root, 'kprobe_profile')) ?? '').matchAll(/^ +(\S+) +\d+ +(\d+)$/gm);
  const all = Array.from((tryReadText(join(root, KPROBES)) ?? '').matchAll(DEFINITION), ([, name]) => name);
  const missed = new Map<string, number>();
  for (const [i, [, name, count]] of [...counts].entries())
    if (all.at(i) === `${group}/${name}`) missed.set(`${group}:${name}`, Number(count));
  return missed;
}

function linesOf(root: string, file: string, group: string): [event: string, line: string][] {
  const text = tryReadText(join(root, file)) ?? '';
  return text.split('\n').flatMap((line): [string, string][] => {
    const [, name] = [...line.matchAll(DEFINITION)][0] ?? [];
    return name?.startsWith(`${group}/`) ? [[name.replace('/', ':'), line]] : [];
  });
}
