/** Restores one journaled file, unless another user has changed the file since the agent's last write. */
import { isAbsolute, join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import { withDiskOpen } from '../disk-access.ts';
import { readText, writeControl } from '../files.ts';
import { emptyList } from '../list-files.ts';
import { coveredBy, type Form, formOf, isList, normalForm, valuesToWrite } from './control-forms.ts';
import type { JournalEntry } from './state.ts';

/** Files that the kernel changes when the agent is killed, or when a user moves hwlat's thread to other CPUs. */
const CHANGED_BY_KERNEL = ['tracing_on', 'buffer_size_kb', 'hwlat_detector/mode'];

export function isChangedByKernel(file: string): boolean {
  return CHANGED_BY_KERNEL.includes(file);
}

export function checkedForm(file: string): Form {
  const form = formOf(file);
  if (form !== undefined) return form;
  throw new KernelError({
    file,
    errno: '',
    action: 'journal',
    remedy: 'it is not a known control file',
  });
}

export function pathOf(root: string, file: string): string {
  return isAbsolute(file) ? file : join(root, file);
}

export function readControl(path: string): string {
  return withDiskOpen(path, () => readText(path));
}

export function writeValue(root: string, file: string, value: string): void {
  if (isAbsolute(file)) withDiskOpen(file, () => writeControl('/', file, value));
  else writeControl(root, file, value);
}

/** Returns `restored`, `nothing` (no change needed), or why the file lacks its old value. Throws `KernelError`. */
export function putBack(root: string, entry: JournalEntry, tracerIsOurs: boolean): string {
  const { file, before } = entry;
  const form = checkedForm(file);
  const path = pathOf(root, file);
  const text = readControl(path);
  const present = normalForm(form, text);
  const wanted = isList(form) ? '' : normalForm(form, before);
  if (present === wanted && form !== 'size') {
    // After all listed tasks exit, the list is empty but matches no task. Truncation makes it match all tasks.
    if (form === 'pids' && text.trim() === '') emptyList(path);
    return 'nothing';
  }
  if (!isOurs(entry, form, present, tracerIsOurs))
    return `another user has changed ${path} to ${JSON.stringify(shortened(present))} after the agent, so the agent leaves it as it is (the original value was ${JSON.stringify(shortened(wanted))})`;
  if (isList(form)) {
    emptyList(path);
  } else {
    const values = valuesToWrite(form, before);
    if (form === 'size' && values[0] === normalForm(form, text)) return 'nothing';
    for (const value of values) writeValue(root, file, value);
  }
  const now = normalForm(form, readControl(path));
  // The kernel rounds sizes up to whole pages, so a restored size can differ from the old one.
  if (now === wanted || form === 'size') return 'restored';
  return `${path} reads ${JSON.stringify(shortened(now))}, although the agent has restored it to ${JSON.stringify(shortened(wanted))}`;
}

function isOurs(entry: JournalEntry, form: Form, present: string, tracerIsOurs: boolean): boolean {
  if (isChangedByKernel(entry.file)) return true;
  // The kernel adds pids when listed tasks fork, so the contents do not show which program wrote the list.
  if (form === 'pids') return tracerIsOurs;
  if (form === 'functions') {
    // Loading a module changes the list, so only check that each function matches a glob of the agent.
    return tracerIsOurs && coveredBy(present, entry.added ?? []);
  }
  return entry.left === undefined || entry.left === present;
}

export function shortened(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
