/** The restore journal saves the old text of system-wide files on disk before the agent changes these files. */
import { add, keep, keepIfFollows, set } from './changes.ts';
import { tracerOf } from './owners.ts';
import { type Restored, restoreEntries } from './restore.ts';
import { type JournalPlace, openStore } from './store.ts';

export type { JournalPlace, Restored };

export interface Journal {
  place: JournalPlace;
  /** Returns the part of the journal for the files that one owner (see `owners.ts`) changes. */
  part(owner: string): JournalPart;
  /** Restores all journaled files. Removes the state file if no file is left to restore. */
  restore(): Restored;
}

/** In all methods, `file` is relative to the root of tracefs, or is `/sys/block/DISK/trace/enable`. */
export interface JournalPart {
  /** Saves the old text, then writes the value. Throws a `KernelError`, also if another tracer needs another value. */
  set(file: string, value: string): void;
  /** Appends to a list. Returns values refused with EINVAL. Throws a `KernelError`, also if others use the list. */
  add(file: string, values: readonly string[]): string[];
  /** Saves the old text of a file that the kernel itself will change. Throws `KernelError`. */
  keep(file: string): void;
  /** Calls `step`. Keeps the old text of `file` in the journal if the kernel then also changes `file`. */
  keepIfFollows(file: string, step: () => void): void;
  /** Call this if the tracer could not be stopped. `restore` then leaves the tracer's files as they are. */
  stillRuns(): void;
  restore(): Restored;
}

/** Opens an agent's journal. Does not read or write the state file; the first change or restore does. */
export function openJournal(place: JournalPlace): Journal {
  const store = openStore(place);
  /** Tracers that could not be stopped. */
  const running = new Set<string>();
  return {
    place,
    part: (owner) => ({
      set: (file, value) => set(store, owner, file, value),
      add: (file, values) => add(store, owner, file, values),
      keep: (file) => keep(store, owner, file),
      keepIfFollows: (file, step) => keepIfFollows(store, owner, file, step),
      stillRuns: () => void running.add(tracerOf(owner)),
      restore: () => restoreEntries(store, { owner, running }),
    }),
    restore: () => restoreEntries(store, { running }),
  };
}

/** Stop the agent's tracers first, because the kernel restores some values when tracers stop. Throws `KernelError`. */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  return restoreEntries(openStore(place), { running: new Set(stillRunning), isRecovery: true });
}
