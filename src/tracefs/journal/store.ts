/** The entries of one journal in memory, loaded from and saved to its state file. */
import { KernelError } from '../../model/errors.ts';
import { type Form, isList } from './control-forms.ts';
import { bootId, type JournalEntry, loadEntries, saveEntries, stateFileOf } from './state.ts';

export interface JournalPlace {
  /** Directory of state files; created when needed. */
  stateDir: string;
  /** Name of the agent. The agent must hold the instance with this name (keep its `free_buffer` open). */
  name: string;
  root: string;
}

export interface JournalStore {
  place: JournalPlace;
  /** Reads the state file again, because another `Journal` of this agent may have written it. Throws `KernelError`. */
  reload(): JournalEntry[];
  /** All entries, including those that remain after a crash because they could not be restored. */
  entries(): JournalEntry[];
  find(file: string): JournalEntry | undefined;
  /** Adds an owner to a file's entry; creates the entry if needed. Save the journal before writing the file. */
  claim(owner: string, file: string, form: Form, text: string): JournalEntry;
  drop(entry: JournalEntry): void;
  /** Whether `claim` was called. Entries that were loaded from the state file do not count. */
  hasClaimed(): boolean;
  /** Saves the journal. Call this before each write of a control file. Throws a `KernelError` that names `owner`. */
  saveFor(owner: string): void;
  /** Saves the journal. Throws `KernelError`. */
  save(): void;
  /** Ignores errors. Call this only if the state file already contains what is needed to restore the files. */
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
