/**
 * The restore journal: before the agent writes a system-wide control file, it saves the file's old text on disk. It
 * restores the text when it stops or, after a crash, at its next start. Each agent has one journal, and each tracer
 * restores its own part of the journal.
 */
import { add, keep, keepIfFollows, set } from './changes.ts';
import { tracerOf } from './owners.ts';
import { type Restored, restoreEntries } from './restore.ts';
import { type JournalPlace, openStore } from './store.ts';

export type { JournalPlace, Restored };

export interface Journal {
  place: JournalPlace;
  /** The part of the journal for the files that one tracer changes. */
  part(owner: string): JournalPart;
  /** Restores everything in reverse order. Removes the state file, unless another attempt is needed. */
  restore(): Restored;
}

/** In all methods, `file` is relative to the root of tracefs, or is `/sys/block/DISK/trace/enable`. */
export interface JournalPart {
  /** Saves the old text, then writes. Throws `KernelError` on a refusal, or if another tracer needs another value. */
  set(file: string, value: string): void;
  /** Appends to a list that was empty. Returns the values that the kernel refuses with EINVAL. Throws `KernelError`. */
  add(file: string, values: readonly string[]): string[];
  /** Saves the old text of a file that the kernel itself will change. Throws `KernelError`. */
  keep(file: string): void;
  /** Calls `step`, which writes another file. If that also changes `file`, saves its old text. Rethrows errors. */
  keepIfFollows(file: string, step: () => void): void;
  /** Call this if the tracer could not be stopped. Its settings then stay in force and in the journal. */
  stillRuns(): void;
  restore(): Restored;
}

/** Opens an agent's journal. Touches no file until something must be written. */
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
 * Restores the files that a killed agent with this name changed. Stop its tracers first, because some restore values
 * themselves. Does not touch files of tracers in `stillRunning`. Throws `KernelError` if the file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  return restoreEntries(openStore(place), { running: new Set(stillRunning), isRecovery: true });
}
