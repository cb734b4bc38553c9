/**
 * What somebody left in the kernel that goes on costing, and that this process may not be able to end. Looks only,
 * changes nothing.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, KernelError } from '../../model/errors.ts';
import { tryReadText } from '../files.ts';
import { pathOf } from './put-back.ts';
import { bootId, type JournalEntry, loadEntries, stateFileOf } from './state.ts';
import type { JournalPlace } from './store.ts';

/** A tracer that runs at the top level, and not for this agent: to be asked before the agent takes the top level. */
export function foreignTracer(root: string): string | undefined {
  const tracer = tryReadText(join(root, 'current_tracer'))?.trim() ?? '';
  if (tracer === '' || tracer === 'nop') return undefined;
  return `tracer ${tracer} runs at the top level of ${root}, and this agent did not start it, or cannot stop it: when nobody needs it, write nop to ${join(root, 'current_tracer')}, or run \`ftrace-exporter cleanup\` with the state directory of the agent that started it`;
}

/** Says what the journal of this name lists, and why it cannot be put back from here; undefined where there is none. */
export function journalState({ root, stateDir, name }: JournalPlace): string | undefined {
  const stateFile = stateFileOf(stateDir, name);
  let entries: JournalEntry[];
  try {
    entries = loadEntries(stateFile, bootId());
  } catch (error) {
    if (error instanceof KernelError) return error.message;
    throw error;
  }
  if (entries.length === 0) return undefined;
  const refused = entries.flatMap(({ file }) => whyNotWritable(pathOf(root, file)));
  const remedy = refused.length === 0 ? '' : `; it cannot be put back from here: ${refused[0]}`;
  return `${stateFile} lists ${entries.map(({ file }) => file).join(', ')}${remedy}`;
}

function whyNotWritable(path: string): string[] {
  try {
    accessSync(path, constants.W_OK);
    return [];
  } catch (error) {
    const errno = errnoOf(error);
    // It is no more, and so is what was changed.
    return errno === 'ENOENT' ? [] : [`cannot write ${path}: ${errno}`];
  }
}
