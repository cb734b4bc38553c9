/**
 * Puts one journaled file back, unless somebody else has changed it since: an entry goes in, what was done comes out.
 * Files are relative to the root of tracefs, or `/sys/block/DISK/trace/enable`.
 */
import { isAbsolute, join } from 'node:path';
import { KernelError } from '../../model/errors.ts';
import { withDiskOpen } from '../disk-access.ts';
import { readText, writeControl } from '../files.ts';
import { emptyList } from '../list-files.ts';
import { coveredBy, type Form, formOf, isList, normalForm, valuesToWrite } from './control-forms.ts';
import type { JournalEntry } from './state.ts';

/**
 * The kernel changes them too: after a kill it stops recording and frees the buffer; hwlat gives up going round the
 * CPUs when it finds its thread elsewhere than it put it.
 */
const CHANGED_BY_KERNEL = ['tracing_on', 'buffer_size_kb', 'hwlat_detector/mode'];

export function isChangedByKernel(file: string): boolean {
  return CHANGED_BY_KERNEL.includes(file);
}

export function checkedForm(file: string): Form {
  const form = formOf(file);
  if (form !== undefined) return form;
  throw new KernelError({ file, errno: '', action: 'keep a journal of', remedy: 'it is no control file' });
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

/** What was done: `restored`, `nothing` (it is as before), or why it was left alone. Throws `KernelError`. */
export function putBack(root: string, entry: JournalEntry, tracerIsOurs: boolean): string {
  const { file, before } = entry;
  const form = checkedForm(file);
  const path = pathOf(root, file);
  const text = readControl(path);
  const present = normalForm(form, text);
  const wanted = isList(form) ? '' : normalForm(form, before);
  if (present === wanted && form !== 'size') {
    // A list whose last task has ended is empty, which means nobody; without a list it is everybody again.
    if (form === 'pids' && text.trim() === '') emptyList(path);
    return 'nothing';
  }
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
  if (isChangedByKernel(entry.file)) return true;
  // Forks add to the lists of pids, so what they hold says nothing; whose tracer it is does.
  if (form === 'pids') return tracerIsOurs;
  if (form === 'functions') {
    // Modules that come and go change what the globs stand for.
    return tracerIsOurs && coveredBy(present, entry.added ?? []);
  }
  return entry.left === undefined || entry.left === present;
}

export function shortened(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
