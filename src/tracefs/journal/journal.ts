/**
 * Restore journal: before the agent writes a system-wide control file, it saves the file's old text on disk. The text
 * is restored when the agent stops, or at its next start after a crash. Each agent has one journal; each tracer
 * restores its own part.
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

/** `file` is relative to the root of tracefs, or is `/sys/block/DISK/trace/enable`. */
export interface JournalPart {
  /** Saves the old text and writes. Throws `KernelError` if the kernel or another tracer needs another value. */
  set(file: string, value: string): void;
  /** Appends to a list that was empty. Returns the values that the kernel refuses with EINVAL. Throws `KernelError`. */
  add(file: string, values: readonly string[]): string[];
  /** Saves the old text without writing, because the kernel itself will write. Throws `KernelError`. */
  keep(file: string): void;
  /** Saves the old text if `step`, which writes elsewhere, changes the file. Throws what `step` throws. */
  keepIfFollows(file: string, step: () => void): void;
  /** The tracer could not be stopped, so its settings stay, also in the journal. */
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
 * Restores what a killed agent with this name left. Its tracers must be gone, because some restore values themselves.
 * Does not touch files of tracers that are `stillRunning`. Throws `KernelError` if the state file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  return restoreEntries(openStore(place), { running: new Set(stillRunning), isRecovery: true });
}
