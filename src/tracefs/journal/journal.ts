/**
 * The restore journal. Before the agent changes a system-wide setting, it saves the old text of the setting's file on
 * disk. It restores the text when it stops or, after a crash, at its next start. Each agent has one journal. When one
 * tracer stops, the agent restores only the files that it changed for this tracer.
 */
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
  /**
   * Saves the file's old text, then writes the value. Throws a `KernelError` if the kernel refuses the value, or if
   * another tracer needs a different value.
   */
  set(file: string, value: string): void;
  /**
   * Appends to a list file. Returns the values that the kernel refuses with EINVAL. Throws a `KernelError`, for example
   * if the list already contains entries of another user.
   */
  add(file: string, values: readonly string[]): string[];
  /** Saves the old text of a file that the kernel itself will change. Throws `KernelError`. */
  keep(file: string): void;
  /**
   * Calls `step`, which writes another file. If the kernel then also changes `file`, keeps the old text of `file` in
   * the journal. Rethrows errors of `step`.
   */
  keepIfFollows(file: string, step: () => void): void;
  /**
   * Call this if the tracer could not be stopped. `restore` then does not change the tracer's files, and keeps their
   * old texts in the journal.
   */
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

/**
 * Restores the files that a killed agent with this name changed. Stop the agent's tracers first, because the kernel
 * restores some values itself when a tracer stops. Does not restore files of tracers in `stillRunning`. Throws a
 * `KernelError` if the state file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  return restoreEntries(openStore(place), { running: new Set(stillRunning), isRecovery: true });
}
