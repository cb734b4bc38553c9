/**
 * Restore journal: what a control file of the whole machine read before us is on disk before we write it, and goes
 * back at the end, or at the next start after a crash. Files and values go in; what was put back, and what could not
 * be, comes out. One journal an agent; each tracer puts back its own part.
 */
import { KernelError } from '../model/errors.ts';
import { type Form, isList, listLines, normalForm } from './control-forms.ts';
import {
  bootId,
  type JournalEntry,
  loadEntries,
  saveEntries,
  stateFileOf,
  stateIsThere,
} from './journal-state.ts';
import { appendValues } from './list-files.ts';
import { checkedForm, pathOf, putBack, readControl, shortened, writeValue } from './put-back.ts';

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
  /** Journals what is there while `step` writes elsewhere, for as long as the file follows. Throws what `step` throws. */
  keepIfFollows(file: string, step: () => void): void;
  /** Its tracer could not be stopped: what it needs as it is stays, and stays in the journal. */
  stillRuns(): void;
  restore(): Restored;
}

const AT_TOP_LEVEL = ' at the top level';

/** Of an agent. Touches nothing until something is to be written. */
export function openJournal(place: JournalPlace): Journal {
  const { stateDir, root } = place;
  const stateFile = stateFileOf(stateDir, place.name);
  const boot = bootId();
  let loaded: JournalEntry[] | undefined;
  /** Tracers that could not be stopped. */
  const running = new Set<string>();

  /** At the start of each step: another `Journal` of this agent may have written since. */
  const reload = (): void => {
    loaded = undefined;
  };
  /** Entries that a crash left and that could not be put back are still there. */
  const entries = (): JournalEntry[] => (loaded ??= loadEntries(stateFile, boot));
  const save = (neededBy = `agent ${place.name}`): void =>
    saveEntries(stateDir, stateFile, { boot, entries: entries() }, neededBy);

  /** The entry of a file, made if need be: to be saved before anything is written. */
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
    reload();
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
    reload();
    const form = checkedForm(file);
    claim(owner, file, form, readControl(pathOf(root, file)));
    saveFor(owner);
  };

  const keepIfFollows = (owner: string, file: string, step: () => void): void => {
    keep(owner, file);
    step();
    reload();
    const form = checkedForm(file);
    const now = normalForm(form, readControl(pathOf(root, file)));
    const entry = entries().find((one) => one.file === file);
    if (entry === undefined || entry.owners.length > 1) return;
    if (now === normalForm(form, entry.before)) drop(entry);
    else entry.left = now;
    save();
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
    reload();
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
  const saveFor = (owner: string): void => save(`tracer ${owner}`);

  const restore = (owner?: string): Restored => {
    reload();
    const report: Restored = { restored: [], problems: [] };
    const mine = entries().filter(({ owners }) => owner === undefined || owners.includes(owner));
    if (mine.length === 0 && (owner !== undefined || !stateIsThere(stateDir, place.name))) return report;
    let tracerIsOurs = true;
    const isTracer = ({ file }: JournalEntry) => file === 'current_tracer';
    // The tracer first: filters that are emptied while it runs would have it trace everything.
    for (const entry of [...mine.filter(isTracer), ...mine.filter((one) => !isTracer(one)).reverse()]) {
      if (owner !== undefined && entry.owners.length > 1) {
        entry.owners = entry.owners.filter((one) => one !== owner);
        continue;
      }
      const tracers = entry.owners.map(tracerOf);
      if (!isTracer(entry) && tracers.some((tracer) => running.has(tracer))) {
        report.problems.push(
          `${entry.file} stays as it is: tracer ${tracers.join(', ')} could not be stopped`,
        );
        continue;
      }
      if (!isTracer(entry) && !tracerIsOurs && entry.owners.every((one) => one.endsWith(AT_TOP_LEVEL))) {
        // A clock empties the buffer, a size too, and who has stopped his recording does not want it started.
        report.problems.push(
          `${entry.file} stays as it is while somebody else uses the top level: the next start or cleanup puts it back`,
        );
        continue;
      }
      const outcome = tryPutBack(entry, tracerIsOurs);
      if (outcome === 'restored') report.restored.push(entry.file);
      else if (outcome !== 'nothing') report.problems.push(outcome);
      if (!isTracer(entry)) continue;
      tracerIsOurs = outcome === 'restored' || outcome === 'nothing';
      const couldNot = entries().includes(entry);
      // Who it is may be known by then: until it is as before, the rest waits.
      if (!tracerIsOurs && !couldNot) entries().push(entry);
      for (const tracer of tracers) {
        if (couldNot) running.add(tracer);
        else running.delete(tracer);
      }
    }
    try {
      save();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // What is back already is nothing to the next try.
      report.problems.push(error.message);
    }
    return report;
  };

  /** As `putBack`; an entry stays only if it can be tried again. */
  const tryPutBack = (entry: JournalEntry, tracerIsOurs: boolean): string => {
    try {
      const outcome = putBack(root, entry, tracerIsOurs);
      drop(entry);
      return outcome;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.errno === 'ENOENT') drop(entry);
      return `${error.message} (it was ${JSON.stringify(shortened(entry.before.trim()))})`;
    }
  };

  return {
    place,
    part: (owner) => ({
      set: (file, value) => set(owner, file, value),
      add: (file, values) => add(owner, file, values),
      keep: (file) => keep(owner, file),
      keepIfFollows: (file, step) => keepIfFollows(owner, file, step),
      stillRuns: () => void running.add(tracerOf(owner)),
      restore: () => restore(owner),
    }),
    restore: () => restore(),
  };
}

/**
 * Puts back what a killed agent of this name left. Its tracers must be gone, for some put back values themselves;
 * of those in instances that are `stillRunning` nothing is touched. Throws `KernelError` when the state file cannot be trusted.
 */
export function restoreJournal(place: JournalPlace, stillRunning: readonly string[] = []): Restored {
  const journal = openJournal(place);
  for (const tracer of stillRunning) journal.part(tracer).stillRuns();
  return journal.restore();
}

/** Owner of what a tracer at the top level changes there, beside the knobs that are its own anywhere. */
export function topLevelOwner(tracer: string): string {
  return `${tracer}${AT_TOP_LEVEL}`;
}

function tracerOf(owner: string): string {
  return owner.endsWith(AT_TOP_LEVEL) ? owner.slice(0, -AT_TOP_LEVEL.length) : owner;
}

function inUse(path: string, value: string, why: string): KernelError {
  const remedy = `${why}: leave off one of the two`;
  return new KernelError({ file: path, errno: 'EBUSY', action: 'write', value, remedy });
}
