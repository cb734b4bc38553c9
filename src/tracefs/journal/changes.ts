/** Implements the methods of `JournalPart`. Saves each change in the journal on disk before making the change. */
import { KernelError } from '../../model/errors.ts';
import { appendValues } from '../list-files.ts';
import { type Form, listLines, normalForm } from './control-forms.ts';
import { checkedForm, isChangedByKernel, pathOf, readControl, writeValue } from './put-back.ts';
import type { JournalEntry } from './state.ts';
import type { JournalStore } from './store.ts';

export function set(store: JournalStore, owner: string, file: string, value: string): void {
  store.reload();
  const { root } = store.place;
  const form = checkedForm(file);
  const path = pathOf(root, file);
  const text = readControl(path);
  const present = normalForm(form, text);
  const wanted = normalForm(form, value);
  const journaled = store.find(file);
  const isOwner = journaled?.owners.includes(owner) ?? false;
  const others = journaled?.owners.filter((one) => one !== owner) ?? [];
  if (present === wanted && form !== 'size') {
    if (journaled === undefined || isOwner) return;
    store.claim(owner, file, form, text);
    store.saveFor(owner);
    return;
  }
  if (others.length > 0) throw inUse(path, value, `${others.join(', ')} needs it to be ${present}`);
  const entry = store.claim(owner, file, form, text);
  const { left: previous } = entry;
  delete entry.left;
  // Ignore a full disk if the state file already contains what is needed, so that the agent can still stop a tracer.
  if (isOwner && (isChangedByKernel(file) || wanted === normalForm(form, entry.before)))
    store.saveIfPossible();
  else store.saveFor(owner);
  try {
    writeValue(root, file, value);
  } catch (error) {
    forgetIfUnchanged(store, entry, previous, form);
    throw error;
  }
  entry.left = normalForm(form, readControl(path));
  store.saveIfPossible();
}

export function keep(store: JournalStore, owner: string, file: string): void {
  store.reload();
  const form = checkedForm(file);
  store.claim(owner, file, form, readControl(pathOf(store.place.root, file)));
  store.saveFor(owner);
}

export function keepIfFollows(store: JournalStore, owner: string, file: string, step: () => void): void {
  keep(store, owner, file);
  step();
  store.reload();
  const form = checkedForm(file);
  const now = normalForm(form, readControl(pathOf(store.place.root, file)));
  const entry = store.find(file);
  if (entry === undefined || entry.owners.length > 1) return;
  if (now === normalForm(form, entry.before)) store.drop(entry);
  else entry.left = now;
  store.saveIfPossible();
}

export function add(store: JournalStore, owner: string, file: string, values: readonly string[]): string[] {
  store.reload();
  const form = checkedForm(file);
  const path = pathOf(store.place.root, file);
  const text = readControl(path);
  const isOwner = store.find(file)?.owners.includes(owner) ?? false;
  const there = listLines(text);
  if (!isOwner && there.length > 0) {
    const some = there.slice(0, 3).join(', ');
    throw inUse(path, values.join(' '), `it already contains ${some}${there.length > 3 ? ', …' : ''}`);
  }
  const entry = store.claim(owner, file, form, text);
  entry.added = [...new Set([...(entry.added ?? []), ...values])];
  store.saveFor(owner);
  return appendValues(path, values);
}

/** Drops the entry if the file has its original text. Otherwise, sets `entry.left` to `previous`. */
function forgetIfUnchanged(
  store: JournalStore,
  entry: JournalEntry,
  previous: string | undefined,
  form: Form,
): void {
  let now: string;
  try {
    now = readControl(pathOf(store.place.root, entry.file));
  } catch {
    return;
  }
  if (normalForm(form, now) === normalForm(form, entry.before)) store.drop(entry);
  else if (previous !== undefined) entry.left = previous;
  store.saveIfPossible();
}

function inUse(path: string, value: string, why: string): KernelError {
  const remedy = `${why}: switch off one of the two users of this file`;
  return new KernelError({ file: path, errno: 'EBUSY', action: 'write', value, remedy });
}
