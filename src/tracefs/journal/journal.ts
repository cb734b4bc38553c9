/**
 * Restore journal: what a control file of the whole machine read before us is on disk before we write it, and goes
 * back at the end, or at the next start after a crash. Files and values go in; what was put back, and what could not
 * be, comes out. One journal an agent; each tracer puts back its own part.
 */
import { add, keep, keepIfFollows, set } from './changes.ts';
import { tracerOf } from './owners.ts';
import { type Restored, restoreEntries } from './restore.ts';
import { type JournalPlace, openStore } from './store.ts';

export type { JournalPlace, Restored };

export interface Journal {
  place: JournalPlace;
  /** The files one tracer changes. */
  part(owner: string): JournalPart;
  /** Puts everything back, in reverse order; the state file goes, unless it is needed for another try. */
  restore(): Restored;
}

/** `file` is relative to the root of tracefs, or `/sys/block/DISK/trace/enable`. */
export interface JournalPart {
  /** Journals what is there and writes. Throws `KernelError`: refused, or another tracer of ours needs another value. */
  set(file: string, value: string): void;
  /** Appends to a list that was empty; gives the values that the kernel takes for nothing (EINVAL). Throws `KernelError`. */
  add(file: string, values: readonly string[]): string[];
  /** Journals what is there without writing: the kernel will. Throws `KernelError`. */
  keep(file: string): void;
  /** Journals what is there while `step` writes elsewhere, for as long as the file follows. Throws what `step` throws. */
  keepIfFollows(file: string, step: () => void): void;
  /** Its tracer could not be stopped: what it needs as it is stays, and stays in the journal. */
  stillRuns(): void;
  restore(): Restored;
}

/** Of an agent. Touches nothing until something is to be written. */
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
 * Puts back what a killed agent of this name left. Its tracers must be gone, for some put back values themselves;
 * of those in instances that are `stillRunning` nothing is touched. Throws `KernelError` when the state file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  return restoreEntries(openStore(place), { running: new Set(stillRunning), isRecovery: true });
}
