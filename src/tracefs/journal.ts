/**
 * Restore journal: what a control file of the whole machine read before us is on disk before we write it, and goes
 * back at the end, or at the next start after a crash. Files and values go in; what was put back, and what could not
 * be, comes out. One journal an agent; each tracer puts back its own part.
 */
import { isAbsolute, join } from 'node:path';
import { KernelError } from '../model/errors.ts';
import {
  coveredBy,
  type Form,
  formOf,
  isList,
  listLines,
  normalForm,
  valuesToWrite,
} from './control-forms.ts';
import { withDiskOpen } from './disk-access.ts';
import { readText, writeControl } from './files.ts';
import { bootId, type JournalEntry, loadEntries, saveEntries, stateFileOf } from './journal-state.ts';
import { appendValues, emptyList } from './list-files.ts';

export interface JournalPlace {
  /** Made when it is needed. */
  stateDir: string;
  /** The agent's: that of its base instance, which it must hold. */
  name: string;
  /** Root of tracefs. */
  root: string;
}

export interface Restored {
  /** Files that were put back. */
  restored: string[];
  /** What could not be put back, and why, or was left alone because somebody else has changed it since. */
  problems: string[];
}

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
  restore(): Restored;
}

/**
 * The kernel changes them too: after a kill it stops recording and frees the buffer; hwlat gives up going round the
 * CPUs when it finds its thread elsewhere than it put it.
 */
const CHANGED_BY_KERNEL = ['tracing_on', 'buffer_size_kb', 'hwlat_detector/mode'];

/** Of an agent. Touches nothing until something is to be written. */
export function openJournal(place: JournalPlace): Journal {
  const { stateDir, root } = place;
  const stateFile = stateFileOf(stateDir, place.name);
  const boot = bootId();
  let loaded: JournalEntry[] | undefined;

  /** Entries that a crash left and that could not be put back are still there. */
  const entries = (): JournalEntry[] => (loaded ??= loadEntries(stateFile, boot));
  const save = (neededBy = `agent ${place.name}`): void =>
    saveEntries(stateDir, stateFile, { boot, entries: entries() }, neededBy);

  /** The entry of a file, made and on disk before anything is written. */
  const claim = (owner: string, file: string, form: Form, text: string): JournalEntry => {
    const all = entries();
    let entry = all.find((one) => one.file === file);
    if (entry === undefined) {
      entry = { file, before: isList(form) ? '' : text, owners: [owner] };
      all.push(entry);
    } else if (!entry.owners.includes(owner)) {
      entry.owners.push(owner);
    }
    return entry;
  };

  const set = (owner: string, file: string, value: string): void => {
    const form = checkedForm(file);
    const path = pathOf(root, file);
    const text = readControl(path);
    const present = normalForm(form, text);
    const wanted = normalForm(form, value);
    const known = entries().find((one) => one.file === file);
    const others = known?.owners.filter((one) => one !== owner) ?? [];
    if (present === wanted && form !== 'size') {
      if (known !== undefined && others.length === known.owners.length) {
        known.owners.push(owner);
        saveFor(owner);
      }
      return;
    }
    if (others.length > 0) throw inUse(path, value, `${others.join(', ')} needs it to be ${present}`);
    const entry = claim(owner, file, form, text);
    const { left } = entry;
    delete entry.left;
    saveFor(owner);
    try {
      writeValue(root, file, value);
    } catch (error) {
      forgetIfUnchanged(entry, left, form, path);
      throw error;
    }
    entry.left = normalForm(form, readControl(path));
    save();
  };

  const keep = (owner: string, file: string): void => {
    const form = checkedForm(file);
    claim(owner, file, form, readControl(pathOf(root, file)));
    saveFor(owner);
  };

  const forgetIfUnchanged = (
    entry: JournalEntry,
    left: string | undefined,
    form: Form,
    path: string,
  ): void => {
    let now: string;
    try {
      now = readControl(path);
    } catch {
      return;
    }
    if (normalForm(form, now) === normalForm(form, entry.before)) drop(entry);
    else if (left !== undefined) entry.left = left;
    save();
  };

  const drop = (entry: JournalEntry): void => {
    const all = entries();
    all.splice(all.indexOf(entry), 1);
  };

  const add = (owner: string, file: string, values: readonly string[]): string[] => {
    const form = checkedForm(file);
    const path = pathOf(root, file);
    const text = readControl(path);
    const known = entries().some((one) => one.file === file && one.owners.includes(owner));
    const there = listLines(text);
    if (!known && there.length > 0) {
      const some = there.slice(0, 3).join(', ');
      throw inUse(path, values.join(' '), `it holds ${some}${there.length > 3 ? ', …' : ''} already`);
    }
    const entry = claim(owner, file, form, text);
    entry.added = [...new Set([...(entry.added ?? []), ...values])];
    saveFor(owner);
    return appendValues(path, values);
  };

  /** Before a write: what could not be noted is not done. */
  const saveFor = (owner: string): void => {
    try {
      save(`tracer ${owner}`);
    } catch (error) {
      loaded = undefined;
      throw error;
    }
  };

  const restore = (owner?: string): Restored => {
    const restored: string[] = [];
    const problems: string[] = [];
    const mine = entries().filter(({ owners }) => owner === undefined || owners.includes(owner));
    if (mine.length === 0) return { restored, problems };
    let tracerIsOurs = true;
    for (const entry of mine.reverse()) {
      if (owner !== undefined && entry.owners.length > 1) {
        entry.owners = entry.owners.filter((one) => one !== owner);
        continue;
      }
      try {
        const outcome = putBack(root, entry, tracerIsOurs);
        if (outcome === 'restored') restored.push(entry.file);
        else if (outcome !== 'nothing') problems.push(outcome);
        if (entry.file === 'current_tracer' && outcome !== 'restored' && outcome !== 'nothing')
          tracerIsOurs = false;
        drop(entry);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        problems.push(`${error.message} (it was ${JSON.stringify(shortened(entry.before.trim()))})`);
        if (error.errno === 'ENOENT') drop(entry);
      }
    }
    save();
    return { restored, problems };
  };

  return {
    place,
    part: (owner) => ({
      set: (file, value) => set(owner, file, value),
      add: (file, values) => add(owner, file, values),
      keep: (file) => keep(owner, file),
      restore: () => restore(owner),
    }),
    restore: () => restore(),
  };
}

/**
 * Puts back what a killed agent of this name left, whose tracers must be gone: some put back values themselves.
 * Throws `KernelError` when the state file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace): Restored {
  return openJournal(place).restore();
}

function checkedForm(file: string): Form {
  const form = formOf(file);
  if (form !== undefined) return form;
  throw new KernelError({ file, errno: '', action: 'keep a journal of', remedy: 'it is no control file' });
}

function pathOf(root: string, file: string): string {
  return isAbsolute(file) ? file : join(root, file);
}

function readControl(path: string): string {
  return withDiskOpen(path, () => readText(path));
}

function inUse(path: string, value: string, why: string): KernelError {
  const remedy = `${why}: leave off one of the two`;
  return new KernelError({ file: path, errno: 'EBUSY', action: 'write', value, remedy });
}

function writeValue(root: string, file: string, value: string): void {
  if (isAbsolute(file)) withDiskOpen(file, () => writeControl('/', file, value));
  else writeControl(root, file, value);
}

/** What was done: `restored`, `nothing` (it is as before), or why it was left alone. Throws `KernelError`. */
function putBack(root: string, entry: JournalEntry, tracerIsOurs: boolean): string {
  const { file, before } = entry;
  const form = checkedForm(file);
  const path = pathOf(root, file);
  const text = readControl(path);
  const present = normalForm(form, text);
  const wanted = isList(form) ? '' : normalForm(form, before);
  if (present === wanted && form !== 'size') return 'nothing';
  if (!isOurs(entry, form, present, tracerIsOurs))
    return `${path} was left as it is, ${JSON.stringify(shortened(present))}: somebody else has changed it since we did (it was ${JSON.stringify(shortened(wanted))})`;
  if (isList(form)) {
    emptyList(path);
  } else {
    const values = valuesToWrite(form, before);
    if (form === 'size' && values[0] === normalForm(form, text)) return 'nothing';
    for (const value of values) writeValue(root, file, value);
  }
  const now = normalForm(form, readControl(path));
  // Sizes are rounded up to whole pages.
  if (now === wanted || form === 'size') return 'restored';
  return `${path} reads ${JSON.stringify(shortened(now))} after ${JSON.stringify(shortened(wanted))} was written back`;
}

function isOurs(entry: JournalEntry, form: Form, present: string, tracerIsOurs: boolean): boolean {
  if (CHANGED_BY_KERNEL.includes(entry.file)) return true;
  // Forks add to the lists of pids, so what they hold says nothing; whose tracer it is does.
  if (form === 'pids') return tracerIsOurs;
  if (form === 'functions') {
    // Modules that come and go change what the globs stand for.
    return tracerIsOurs && coveredBy(present, entry.added ?? []);
  }
  return entry.left === undefined || entry.left === present;
}

function shortened(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
