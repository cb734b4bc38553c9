/** The entries of one journal in memory, loaded from and saved to its state file. */
import { KernelError } from '../../model/errors.ts';
import { type Form, isList } from './control-forms.ts';
import { bootId, type JournalEntry, loadEntries, saveEntries, stateFileOf } from './state.ts';

export interface JournalPlace {
  /** Directory of state files; created when needed. */
  stateDir: string;
  /** Name of the agent. The agent must hold the instance with this name (keep its `free_buffer` open). */
  name: string;
  /** Root of tracefs. */
  root: string;
}

export interface JournalStore {
  place: JournalPlace;
  /** Reads the state file again, because another `Journal` of this agent may have written it. Throws `KernelError`. */
  reload(): JournalEntry[];
  /** All entries, including those that remain after a crash because they could not be restored. */
  entries(): JournalEntry[];
  find(file: string): JournalEntry | undefined;
  /**
   * Returns the entry of a file, after adding `owner` to it. Creates the entry if needed, with `text` as the
   * old text. Save the journal before writing the file.
   */
  claim(owner: string, file: string, form: Form, text: string): JournalEntry;
  drop(entry: JournalEntry): void;
  /** Whether `claim` was called. Entries that were loaded from the state file do not count. */
  hasClaimed(): boolean;
  /**
   * Saves the journal before a control file is written, so that every change is journaled. Throws a
   * `KernelError` that names `owner`.
   */
  saveFor(owner: string): void;
  /** Saves the journal. Throws `KernelError`. */
  save(): void;
  /**
   * Saves the journal after a control file was written. Ignores errors, because the state file is already
   * sufficient to restore the file.
   */
  saveIfPossible(): void;
}

export function openStore(place: JournalPlace): JournalStore {
  const { stateDir, name } = place;
  const stateFile = stateFileOf(stateDir, name);
  const boot = bootId();
  let hasClaimed = false;
  let loaded: JournalEntry[] | undefined;
  const reload = (): JournalEntry[] => {
    loaded = undefined;
    loaded = loadEntries(stateFile, boot);
    return loaded;
  };
  const entries = (): JournalEntry[] => loaded ?? reload();
  const find = (file: string) => entries().find((entry) => entry.file === file);
  const save = (neededBy = `agent ${name}`): void =>
    saveEntries(stateDir, stateFile, { boot, entries: entries() }, neededBy);
  return {
    place,
    reload,
    entries,
    find,
    claim: (owner, file, form, text) => {
      hasClaimed = true;
      const present = find(file);
      if (present !== undefined) {
        if (!present.owners.includes(owner)) present.owners.push(owner);
        return present;
      }
      const entry: JournalEntry = { file, before: isList(form) ? '' : text, owners: [owner] };
      entries().push(entry);
      return entry;
    },
    drop: (entry) => void entries().splice(entries().indexOf(entry), 1),
    hasClaimed: () => hasClaimed,
    saveFor: (owner) => save(`tracer ${owner}`),
    save: () => save(),
    saveIfPossible: () => {
      try {
        save();
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    },
  };
}
