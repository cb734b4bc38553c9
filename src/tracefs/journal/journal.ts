/**
 * Restore journal: before the agent writes a control file of the whole machine, the file's old text is on disk. It is
 * restored at the end, or at the next start after a crash. There is one journal per agent; each tracer restores its own
 * part.
 */
import { add, keep, keepIfFollows, set } from './changes.ts';
import { tracerOf } from './owners.ts';
import { type Restored, restoreEntries } from './restore.ts';
import { type JournalPlace, openStore } from './store.ts';

export type { JournalPlace, Restored };

export interface Journal {
  place: JournalPlace;
  /** The files that one tracer changes. */
  part(owner: string): JournalPart;
  /** Restores everything in reverse order. Removes the state file, unless another try is needed. */
  restore(): Restored;
}

/** `file` is relative to the root of tracefs, or `/sys/block/DISK/trace/enable`. */
export interface JournalPart {
  /** Journals the old text and writes. Throws `KernelError`: the kernel refused, or another tracer needs another value. */
  set(file: string, value: string): void;
  /** Appends to a list that was empty; returns the values that the kernel refuses with EINVAL. Throws `KernelError`. */
  add(file: string, values: readonly string[]): string[];
  /** Journals the old text without writing, because the kernel will write. Throws `KernelError`. */
  keep(file: string): void;
  /** Journals the old text while `step` writes elsewhere, if the file follows that. Throws what `step` throws. */
  keepIfFollows(file: string, step: () => void): void;
  /** The tracer could not be stopped: its settings stay, also in the journal. */
  stillRuns(): void;
  restore(): Restored;
}

/** Opens an agent's journal. Touches nothing until something has to be written. */
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
 * Restores what a killed agent of this name left. Its tracers must be gone, because some restore values themselves; files
 * of tracers that are `stillRunning` are not touched. Throws `KernelError` if the state file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  return restoreEntries(openStore(place), { running: new Set(stillRunning), isRecovery: true });
}
